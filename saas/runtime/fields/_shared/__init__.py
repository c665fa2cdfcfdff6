"""What several field types share: cleaning of text, numbers, dates, ids and choices, and template macros. Not a type."""
