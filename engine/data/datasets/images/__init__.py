"""Images in files: folders of them, their headers and orientation, decoding."""
