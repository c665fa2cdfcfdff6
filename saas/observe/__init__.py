"""What the operator of the installation can see: logs, metrics, traces, slow statements. Knows of no layer; everybody may tell it something.

Nothing here ever holds a value of a record, an address, a query string or a secret: only ids, patterns, names of ours and numbers.
"""
