"""The page: templates, style, sessions and pictures of what people look at in a browser."""
