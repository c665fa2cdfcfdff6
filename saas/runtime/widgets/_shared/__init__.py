"""What widgets have in common: reading under the reader's rights, links to records, texts, charts."""
