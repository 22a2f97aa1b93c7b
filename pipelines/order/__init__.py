"""In-context order: related documents next to each other (the stage replaces this line)."""
