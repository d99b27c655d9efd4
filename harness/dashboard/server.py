"""The pages over HTTP: a page, its exports, its pictures, and nothing else; everything is served from here."""

import socket
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from harness.dashboard.page import Dashboard

TYPES = {"csv": "text/csv", "json": "application/json"}
# Nothing from elsewhere is loaded, and nobody's form or frame is sent elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data:; "
POLICY += "connect-src 'self'; form-action 'self'"


def application(dashboard: Dashboard) -> Starlette:
    """The routes over a dashboard. Reading files anew is for whole pages only, which a visitor loads or reloads."""

    async def page(request: Request) -> Response:
        if "fragment" not in request.headers:
            await run_in_threadpool(dashboard.refresh)
        html = await run_in_threadpool(dashboard.page, request.url.query)
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    async def saved(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in TYPES:
            return Response(status_code=404)
        name, text = await run_in_threadpool(dashboard.saved, request.url.query, kind)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type=f"{TYPES[kind]}; charset=utf-8", headers=headers)

    async def picture(request: Request) -> Response:
        query, _, name = request.url.query.rpartition("&picture=")
        found = await run_in_threadpool(dashboard.picture, query, unquote(name.replace("+", " ")))
        return Response(status_code=404) if found is None else Response(found[0], media_type=found[1])

    routes = [
        Route("/", page),
        Route("/export.{kind}", saved),
        Route("/picture", picture),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(GZipMiddleware, compresslevel=3)
    return app


def serve(dashboard: Dashboard, host: str, port: int) -> None:
    """Serves until it is interrupted.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family)
    print(f"The dashboard is at http://{host}:{listening.getsockname()[1]} (stop it with Ctrl+C)", flush=True)
    uvicorn.Server(uvicorn.Config(application(dashboard), log_level="warning")).run(sockets=[listening])
