"""The OpenID provider engine: parameters in, values out. No web framework, no storage, no provider."""
