"""How the durable tables came to be what they are, one revision at a time."""
