"""What `mkdocs serve` does beyond MkDocs: all that reaches into its server, in one place."""
