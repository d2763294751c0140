"""The survey's questions, before any method: section 1."""
