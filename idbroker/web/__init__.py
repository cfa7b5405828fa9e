"""Pages and endpoints: HTTP in, HTTP out."""
