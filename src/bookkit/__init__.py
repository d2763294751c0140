"""bookkit: executes, checks and publishes the book.  Chapters never import it."""
