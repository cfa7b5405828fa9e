"""The demo portals: real relying parties that know the broker by its wire alone."""
