"""Pictures with real pixels, in terminals that can show them."""
