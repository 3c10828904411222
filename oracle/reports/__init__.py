"""Reports to forward: one HTML file each, its conclusion first, its figures as SVG."""
