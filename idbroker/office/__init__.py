"""The pages for clinics' staff, below /staff, and the page of the clinic's tablet, /tablet."""
