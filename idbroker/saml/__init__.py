"""SAML 2.0 service provider: bytes in, values out. No HTTP, no storage, no clock of its own.

`requests` asks, `response` reads what comes back, `logout` ends; `bindings` is how each travels.
"""
