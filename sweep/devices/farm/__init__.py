"""A farm's processes (tracker, device servers, supervisor), and how a farm is seen from outside."""
