"""Data follows configuration: what a change of the configuration means for the records there are, and doing it in the background.

    steps = derive(old, new, data)                      # what must be done, in order; pure
    job_id = await enqueue_steps(conn, ctx, steps, 7)   # in the transaction that publishes revision 7
    await follow(ctx, job_id, 2.0)                      # after the commit: small tenants see the result at once
"""

from saas.runtime.backfill.driving import KIND, enqueue_steps, follow, run_steps, sweep_steps
from saas.runtime.backfill.model import Order, Shift, Step, StepKind, derive, estimate, step_kinds
from saas.runtime.backfill.reporting import lines_of

__all__ = ["KIND", "Order", "Shift", "Step", "StepKind", "derive", "enqueue_steps", "estimate", "follow", "lines_of", "run_steps", "step_kinds", "sweep_steps"]
