"""Messages to people, by e-mail and text message: written here, kept until they are handed over, sent once."""
