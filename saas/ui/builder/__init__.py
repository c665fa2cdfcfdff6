"""The designer's toolkit: `Desk` is an admin at their draft; controls draw and read the parts of definitions; conditions are rows that
stand for expressions."""
