"""What is said of it: goals and verdicts, tables, pages, pictures."""
