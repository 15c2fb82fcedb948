"""One module per generated page: the code in, Markdown out."""
