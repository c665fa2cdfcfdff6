"""What a good engineer would write by hand for this one CRM: typed tables, plain SQL, no configuration. Imports nothing of the product."""
