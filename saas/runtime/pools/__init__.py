"""Pools: records without an owner that people claim, hold for a while and give back.

`rights` says in SQL which records are in a pool and who sees them; `holding` is what every change of an owner passes through (limits,
who held what, what counts as work); `moves` are the acts themselves. They import each other in this order, and records lie between the
last two, so nothing is imported here.
"""
