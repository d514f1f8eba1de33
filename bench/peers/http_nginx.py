"""nginx: a short answer for every request, on connections that stay. Becomes nginx itself."""

import os
import socket
import sys
from pathlib import Path

CONFIG = """\
daemon off;
worker_processes 1;
error_log stderr;
pid {scratch}/nginx.pid;
events {{
    worker_connections {slots};
}}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    client_header_timeout 1h;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port};
        return 200 "{answer}";
    }}
}}
"""
ANSWER = "idle\n"


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and have nginx take over.

    The command line names nginx, the connections it may have, and a directory for its files.
    """
    nginx, slots, scratch = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0), backlog=511)  # as nginx has it
    port = listener.getsockname()[1]
    config = Path(scratch, f"nginx-{os.getpid()}.conf")
    answer = ANSWER.encode("unicode_escape").decode()
    config.write_text(CONFIG.format(scratch=scratch, slots=slots, port=port, answer=answer))
    print(port, flush=True)
    listener.set_inheritable(True)
    # The descriptors of sockets that listen already: nginx's own way to replace itself.
    environment = os.environ | {"NGINX": f"{listener.fileno()};"}
    os.execve(nginx, [nginx, "-c", str(config), "-p", scratch], environment)


if __name__ == "__main__":
    main()
