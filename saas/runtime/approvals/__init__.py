"""Approvals under way: starting them, deciding, who is asked and what is shown. Definitions: saas.metadata; docs/approvals.md."""
