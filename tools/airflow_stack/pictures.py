"""Takes the pictures of docs/img/airflow-*.png: logs in to a running Airflow with headless Chromium.

Start the containers of deploy/ (or ./dev airflow) and have the three dates run, the first with a file of gigabytes, so
that its log shows progress. Then, with Debian's chromium:

    pip install playwright httpx
    python tools/airflow_stack/pictures.py URL PASSWORD
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page, sync_playwright

from airflow_stack.client import AirflowClient

DAG_ID = "checkvalve_daily"
GROUP = "copy_day"
PLACE = Path(__file__).resolve().parents[2] / "docs" / "img"
SETTLE_MS = 2_500  # the pages draw themselves after their data has come


def main() -> int:
    url, password = sys.argv[1:3]
    client = AirflowClient(url, "admin", password)
    client.login()
    run = min(run["dag_run_id"] for run in client.runs(DAG_ID) if run["state"] == "success")
    base = f"{url}/dags/{DAG_ID}/runs/{quote(run, safe='')}"
    PLACE.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/auth/login/")
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda address: "/auth/login" not in address)

        take(page, f"{base}/tasks/{GROUP}.copy/mapped", "batches", see="batch 1/")
        take(page, f"{base}/tasks/{GROUP}.copy/mapped/0", "log", see="Copied ")
        take(page, f"{base}/plugin/checkvalve_report", "report")
        page.goto(base)
        page.get_by_role("button", name="Show Graph").click()
        page.get_by_role("button", name="Expand all task groups").click()
        save(page, "graph")
        page.set_viewport_size({"width": 1440, "height": 1220})
        page.goto(f"{url}/connections")
        page.get_by_role("button", name="Add Connection").first.click()
        page.get_by_label("Connection ID").or_(page.locator("input[name=connection_id]")).first.fill("partner")
        page.get_by_role("combobox").first.click()
        page.keyboard.type("Checkvalve")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Extra Fields", exact=True).click()
        save(page, "connection")
        browser.close()
    return 0


def take(page: Page, address: str, name: str, *, see: str | None = None) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if see:
        page.get_by_text(see).first.wait_for()
    save(page, name)


def save(page: Page, name: str) -> None:
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=PLACE / f"airflow-{name}.png")
    print(PLACE / f"airflow-{name}.png")


if __name__ == "__main__":
    sys.exit(main())
