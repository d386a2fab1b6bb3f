"""Codes: the token head, hashed identity codes, position bindings, superposition."""
