"""One module a DVC stage: files in, one call, files out. ``python -m lexivert.stages NAME`` runs it."""
