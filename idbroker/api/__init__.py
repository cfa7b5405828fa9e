"""What clinics' own programs call: /api/v1."""
