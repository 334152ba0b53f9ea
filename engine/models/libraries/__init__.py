"""Models of torchvision and timm: their catalogs, construction and published weights."""
