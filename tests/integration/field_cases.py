"""Files as users have them, and the right outcome for each: stored bars, or a refusal that says
what to do.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "field_cases"


@dataclass(frozen=True, slots=True)
class Case:
    """One file and its right outcome.

    Attributes:
        file: its name in the folder; the number at its front only tells files of the same name
            apart.
        closes: the close of some bars, by ticker and time (UTC).
        counts: the number of stored bars, by ticker.
        refused: a part of the refusal's text, if nothing is stored.
        said: a part of the report's text.
        interval: the interval of the bars.
        options: the import's options, such as the ticker or market.
    """

    file: str
    closes: dict[str, dict[str, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    interval: str = "1d"
    options: dict[str, Any] = field(default_factory=dict)
    rejected: int = 0

    @property
    def name(self) -> str:
        """The file's name as users have it, without the number."""
        return re.sub(r"^\d+[a-z]?-", "", self.file)

    @property
    def content(self) -> bytes:
        """The file's content."""
        return (FOLDER / self.file).read_bytes()


AAPL = {"AAPL": {"2024-01-02": 185.64, "2024-01-03": 184.25}}
TOYOTA = {"7203.T": {"2024-01-04": 2643, "2024-01-15": 2656}}
OF_AAPL = {"ticker": "AAPL"}
SPY = {"SPY": {"2024-01-02 14:30": 472.0, "2024-01-02 14:35": 472.2}}
OF_SPY = {"ticker": "SPY"}

CASES = (
    Case(
        "01-yf_multi.csv",
        {
            "AAPL": {"2024-01-02": 185.64, "2024-01-04": 181.91},
            "MSFT": {"2024-01-02": 370.87, "2024-01-04": 367.94},
        },
        {"AAPL": 3, "MSFT": 3},
    ),
    Case("01b-TSLA.csv", {"TSLA": {"2024-01-02": 248.42}}, {"TSLA": 3}),
    Case(
        "01c-yf_download_multi_real_to_csv.csv",
        {"AAPL": {"2024-01-02": 183.71139891715092}, "MSFT": {"2024-01-02": 364.3960826214435}},
        {"AAPL": 61, "MSFT": 61},
    ),
    Case(
        "01d-yf_stacked.csv", {"AAPL": {"2024-01-02": 183.71139891715092}}, {"AAPL": 61, "MSFT": 61}
    ),
    Case(
        "03-binance_us.csv",
        {"BTC-USD": {"2025-01-02": 96984.79}},
        rejected=1,
        options={"ticker": "BTC-USD"},
    ),
    Case(
        "03b-BTCUSDT-1h-headerless.csv",
        {"AAPL": {"2024-01-02 14:30": 45050.25, "2024-01-02 15:30": 45120.75}},
        {"AAPL": 3},
        said=("the first row looks like data, not like names", "Binance"),
        interval="1h",
        options=OF_AAPL,
    ),
    Case("03c-TSUS.csv", {"TSUS": {"2025-01-02": 100.5, "2025-01-03": 100.5}}),
    Case("03d-TSNS.csv", {"AAPX": {"2025-01-02": 100.5}}),
    Case("04d-aapl_us_d.csv", AAPL, said=("Stooq",)),
    Case(
        "05-german.csv",
        {"SAP": {"2024-01-02": 1185.64}},
        said=("decimal comma", "day first"),
        options={"ticker": "SAP"},
        rejected=1,
    ),
    Case("05b-DECCOMMA.csv", AAPL, options=OF_AAPL),
    Case(
        "05d-THOUSQ.csv", {"AAPL": {"2024-01-02": 4742.83, "2024-01-03": 4704.81}}, options=OF_AAPL
    ),
    Case("05e-SHIFTED.csv", refused=("row 1 has 10 fields where 6 columns are named",)),
    Case("05f-SEPLINE.csv", {"AAPL": {"2024-01-02": 185.64}}, options=OF_AAPL),
    Case("05g-COMMENT.csv", {"AAPL": {"2024-01-02": 185.64}}, options=OF_AAPL),
    Case("05h-SPACES.csv", AAPL, options=OF_AAPL),
    Case("05i-TRAILCOMMA.csv", AAPL, options=OF_AAPL),
    Case(
        "06-PREPOST.csv",
        {"PREPOST": {"2024-03-08 14:30": 169.3386}},
        {"PREPOST": 156},
        interval="5m",
        rejected=228,
    ),
    Case(
        "06b-UTCNAIVE.csv",
        refused=(
            "60 of 78 times lie outside the sessions of market US",
            "5 hours earlier",
            "such as UTC",
        ),
        interval="5m",
    ),
    Case(
        "06b-UTCNAIVE.csv",
        {"UTCNAIVE": {"2024-01-02 14:30": 170.0587}},
        {"UTCNAIVE": 78},
        interval="5m",
        options={"timezone": "UTC"},
    ),
    Case(
        "08-TIINGO.csv",
        {"TIINGO": {"2023-11-02": 46.251}},
        {"TIINGO": 210},
        said=("columns left aside: adjClose",),
    ),
    Case(
        "08b-daily_adjusted_AVX.csv",
        {"AVX": {"2023-11-02": 46.251, "2024-09-04": 67.606}},
        {"AVX": 210},
        said=("columns left aside: adjusted_close", "Alpha Vantage"),
    ),
    Case("13-7203.T.csv", TOYOTA),
    Case("13b-7203u.T.csv", TOYOTA, options={"ticker": "7203.T"}),
    Case("13c-UTF16.txt", {"AAPL": {"2024-01-02": 185.64}}, options=OF_AAPL),
    Case("13d-BOM.csv", {"AAPL": {"2024-01-02": 185.64}}, options=OF_AAPL),
    Case("14-IBSPY.csv", SPY, interval="5m", options=OF_SPY),
    Case("14b-IBOLD.csv", SPY, {"SPY": 3}, interval="5m", options=OF_SPY),
    Case("14c-IBRUST.csv", SPY, interval="5m", options=OF_SPY),
    Case(
        "15b-nasdaqcom.csv", {"AAPL": {"2024-01-16": 183.63, "2024-01-12": 185.92}}, options=OF_AAPL
    ),
    Case(
        "15c-investing.csv", {"AAPL": {"2024-01-16": 183.63, "2024-01-12": 185.92}}, options=OF_AAPL
    ),
    Case(
        "15d-BARCHART.csv",
        {"AAPL": {"2024-01-16": 183.63, "2024-01-12": 185.92}},
        options=OF_AAPL,
        rejected=1,
    ),
    Case(
        "15e-bloomberg.csv", {"AAPL": {"2024-01-16": 183.63, "2024-01-12": 185.92}}, options=OF_AAPL
    ),
    Case("16-AOT.BK.csv", refused=("the Buddhist calendar", "03/01/2567")),
    Case("16b-TWODIGIT.csv", refused=("years of two digits",)),
    Case("16c-DDMONYY.csv", refused=("years of two digits",)),
    Case("16d-EOD.csv", refused=("2024-04-03 (day first)", "2024-03-04 (month first)")),
    Case(
        "16d-EOD.csv",
        {"AMBI": {"2024-04-03": 10.5}, "AMBJ": {"2024-04-03": 20.5}},
        options={"day_first": True},
    ),
    Case("16e-MIXORDER.csv", refused=("can be read two ways", "25/01/2024", "02/26/2024")),
    Case("16f-MIXISO.csv", {"MIXISO": {"2024-02-13": 10.5}}, {"MIXISO": 4}, rejected=1),
    Case(
        "16g-EXCELSERIAL.csv",
        {"EXCELSERIAL": {"2024-01-02": 100.5}},
        {"EXCELSERIAL": 3},
        said=("Excel's number of a day",),
    ),
    Case("17-EZX.csv", counts={"EZX": 123}, rejected=1),
    Case("21-LIVEDUP.csv", counts={"LIVEDUP": 29}, rejected=1),
    Case("24-CAT.csv", counts={"CAT": 14}, rejected=5),
    Case(
        "25-MTFIVE.csv",
        refused=("2 of 2 times lie outside", "7 hours earlier", "which zone"),
        interval="30m",
    ),
    Case(
        "25-MTFIVE.csv",
        {"MTFIVE": {"2024-01-02 14:30": 187.2, "2024-01-02 15:00": 187.0}},
        interval="30m",
        options={"timezone": "Europe/Athens"},
    ),
    Case(
        "25b-MTDAY.csv",
        {"AAPL": {"2024-01-02": 185.64, "2024-01-03": 184.25}},
        said=("TICKVOL",),
        options=OF_AAPL,
    ),
    Case(
        "26a-PQUNNAMED.parquet",
        {"AAPL": {"2024-01-02": 183.71139891715092}},
        {"AAPL": 61},
        options=OF_AAPL,
    ),
    Case(
        "26b-PQNAMED.parquet",
        {"AAPL": {"2024-01-02": 183.71139891715092}},
        {"AAPL": 61},
        options=OF_AAPL,
    ),
    Case(
        "26c-PQTZ.parquet",
        {"AAPL": {"2024-01-02": 183.71139891715092}},
        {"AAPL": 61},
        options=OF_AAPL,
    ),
    Case("26e-pq_long_multiindex.parquet", counts={"AAPL": 61, "MSFT": 61}),
    Case("26f-PQNULLVOL.parquet", counts={"AAPL": 60}, options=OF_AAPL, rejected=1),
    Case("28a-AVJ.json", {"AVJ": {"2024-01-02": 185.64, "2024-01-03": 184.25}}),
    Case("28b-alpaca.json", {"AAPL": {"2024-01-02": 185.64}}),
    Case("28c-polygon.json", {"AAPL": {"2024-01-02": 185.64}}),
    Case("28d-PDJSON.json", {"AAPL": {"2024-01-02": 185.64}}, options=OF_AAPL),
    Case(
        "names_of_vendors.csv",
        {
            "AAPL": {"2024-01-02": 185.64},
            "VOD.L": {"2024-01-02": 68.9},
            "IBM": {"2024-01-02": 161.5},
            "BP.L": {"2024-01-02": 470.2},
            "BTC-USDT": {"2024-01-02": 44946.9},
        },
    ),
    Case(
        "CLOSELAB.csv",
        refused=("labelled by their end", "say that labels are of the end"),
        interval="30m",
    ),
    Case(
        "CLOSELAB.csv",
        {"CLOSELAB": {"2024-01-02 14:30": 101.5, "2024-01-04 20:30": 113.5}},
        {"CLOSELAB": 39},
        said=("those of UTC", "1,000 each"),
        interval="30m",
        options={"labels": "end"},
    ),
)
