"""One folder per field type: behaviour in __init__.py, control in input.html, read-only view in cell.html.

`saas.runtime.kinds.load_kinds` imports them all. How to add one: docs/howto/field-types.md.
"""
