"""Freja eID's own parts: its levels, its REST service, its signed answers, its links, and Freja over OpenID Connect."""
