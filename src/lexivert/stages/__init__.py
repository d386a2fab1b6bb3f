"""One module a DVC stage: files in, one call, files out. ``python -m lexivert.stages NAME`` runs it.

What takes long to import is imported by a stage's ``run``.
"""
