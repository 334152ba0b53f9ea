"""The computation of a run: objective, precision, one step, one evaluation, torch.compile, exhausted memory."""
