#!/bin/sh
# Makes /run/sdrbench now; from the next boot on, systemd does.
if command -v systemd-tmpfiles >/dev/null; then
	systemd-tmpfiles --create sdrbench.conf || :
fi
