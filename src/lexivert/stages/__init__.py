"""One module a DVC stage: files in, files out."""
