"""What the page shows, one module a section."""
