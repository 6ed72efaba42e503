"""LitServe beside ours in the load test ``benchmarks.serving``, which runs this file.

    PYTHON benchmarks/serving_lit.py PORT MODEL.onnx

It takes the same JSON, runs the same network by onnxruntime on one core, and answers the same. The
file needs nothing of ours, so that the Python of another environment runs it.
"""

from __future__ import annotations

import sys
from typing import Any

import litserve  # type: ignore[import-not-found]
import numpy as np
import onnxruntime


class LitImages(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[2], options)

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads annotations
        return np.array(request["images"], np.uint8)

    def predict(self, images: Any) -> Any:
        return self.session.run(None, {"images": images[:, None].astype(np.float32)})[0]

    def encode_response(self, shares: Any) -> Any:
        rows = zip(shares.argmax(axis=1).tolist(), shares.tolist(), strict=True)
        made = [{"prediction": k, "probability": row[k]} for k, row in rows]
        return {"model": "run", "predictions": made}


if __name__ == "__main__":
    api = LitImages(api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        port=int(sys.argv[1]),
        log_level="error",
        generate_client_file=False,
        api_server_worker_type="thread",
    )
