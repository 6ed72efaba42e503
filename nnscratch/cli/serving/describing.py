"""The description of a server as OpenAPI 3.1, with examples that it answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nnscratch.cli.serving import inference
from nnscratch.cli.serving.answering import RunAnswers


def described(run: RunAnswers, limits: Any, tokens: bool) -> dict[str, Any]:
    """Return the description.

    Args:
        run: what answers.
        limits: what a request may take.
        tokens: whether a token is needed.
    """
    from nnscratch import __version__

    key, example = run.reader.key, run.reader.example()
    label = _kind_of(run.classes[0]) if run.classes else "number"
    prediction: dict[str, Any] = {
        "type": "object",
        "properties": {
            "prediction": {"type": label},
            "probability": {"type": "number"},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
            "notes": {"type": "array", "items": {"type": "string"}},
            "error": {"type": "string"},
        },
    }
    answer = {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "predictions": {"type": "array", "items": prediction},
        },
    }
    body = {
        "type": "object",
        "properties": {
            key: {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.rows,
                "items": run.reader.schema(),
            }
        },
        "required": [key],
        "additionalProperties": False,
    }
    refused = {str(code): {"description": what} for code, what in _REFUSED.items()}
    content = {
        "application/json": {"schema": body, "example": example},
        "application/x-npy": {"schema": {"type": "string", "format": "binary"}},
    }
    predict = {
        "summary": "Predict rows; one that is wrong gets an error in its place",
        "parameters": [
            {
                "name": "probabilities",
                "in": "query",
                "description": "whether every class's probability is wanted",
                "schema": {"type": "boolean"},
            }
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "a prediction or an error for each row, in order",
                "content": {"application/json": {"schema": answer}},
            },
            "422": {"description": "likewise, where every row is wrong"},
            **refused,
        },
    }
    infer = {
        "summary": inference.PROTOCOL,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": inference.example(run),
                }
            },
        },
        "responses": {"200": {"description": "the outputs as tensors"}, **refused},
    }
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": run.name,
            "description": f"{run.summary}; a {run.task}",
            "version": __version__,
        },
        "paths": {
            "/predict": {"post": predict},
            f"/v2/models/{quote(run.name, safe='')}/infer": {"post": infer},
            f"/v2/models/{quote(run.name, safe='')}": {
                "get": _get("inputs and outputs of the model")
            },
            "/healthz": {"get": _get("whether the server answers")},
            "/metrics": {"get": _get("figures for Prometheus", "text/plain")},
        },
    }
    if tokens:
        made["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        made["security"] = [{"token": []}]
    return made


_REFUSED = {
    400: "the body as a whole is wrong",
    401: "a token is needed",
    408: "the body came too slowly",
    413: "the body or the number of rows is too large",
    415: "another type of content, or a compressed body",
    503: "too many requests are waiting",
}


def _get(what: str, kind: str = "application/json") -> dict[str, Any]:
    return {
        "summary": what,
        "responses": {"200": {"description": what, "content": {kind: {}}}},
    }


def _kind_of(label: Any) -> str:
    return {bool: "boolean", int: "integer", float: "number"}.get(type(label), "string")
