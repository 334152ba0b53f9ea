"""Operations on a checkpoint: evaluate, compare, export, and check whether a resume from it is exact."""
