"""Kinds of figures and charts, one folder each. Discovered by saas.runtime.kinds; a new folder needs no other change."""
