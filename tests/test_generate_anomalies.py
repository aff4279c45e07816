"""What the generators plant is odd in the way its label says, and normal life looks alive."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from awry.data.generate import LABELS, NAMES, generate, kinds
from awry.data.generate.places import distance_km

every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return {name: generate(name, 60_000, seed=3) for name in NAMES}


def normal(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["is_anomaly"] == 0]


def of(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    rows = frame[frame["anomaly_kind"] == kind]
    assert len(rows) > 20
    return rows


def features(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Columns with a magnitude; heavy tails drawn in as any detector's preparation would."""
    numbers = frame.select_dtypes("number").drop(columns=[*LABELS[:1], LABELS[3]])
    numbers = numbers.loc[:, [not column.endswith("_id") for column in numbers]]
    return numbers if name == "iot_sensors" else np.sign(numbers) * np.log1p(numbers.abs())


def hour(frame: pd.DataFrame) -> pd.Series:
    return frame["timestamp"].dt.hour


def share_in_hour(habit: pd.DataFrame, key: str, odd: pd.DataFrame) -> np.ndarray:
    """For each odd row, the share of its entity's normal rows that fall in its hour."""
    table = pd.crosstab(habit[key], hour(habit), normalize="index", dropna=False)
    table = table.reindex(columns=range(24), fill_value=0.0)
    return table.to_numpy()[table.index.get_indexer(odd[key]), hour(odd)]


@every
def test_points_are_found_globally_the_others_are_not(name, frames):
    frame = frames[name]
    x = features(name, frame).to_numpy()
    x = x - np.median(x, axis=0)
    far = np.einsum("ij,jk,ik->i", x, np.linalg.pinv(np.cov(x.T)), x)
    for kind, spec in kinds(name).items():
        seen = (frame["is_anomaly"] == 0) | (frame["anomaly_kind"] == kind)
        is_kind = (frame["anomaly_kind"] == kind)[seen]
        if spec.type == "point":
            assert roc_auc_score(is_kind, far[seen]) > 0.97
        else:
            assert average_precision_score(is_kind, far[seen]) < 0.15


@every
def test_no_column_alone_gives_them_away(name, frames):
    frame = frames[name].head(30_000)
    for column, values in features(name, frame).items():
        for side in (values, -values):
            assert average_precision_score(frame["is_anomaly"], side) < 0.35, column
            for kind in kinds(name):
                seen = (frame["is_anomaly"] == 0) | (frame["anomaly_kind"] == kind)
                is_kind = (frame["anomaly_kind"] == kind)[seen]
                assert average_precision_score(is_kind, side[seen]) < 0.92, (column, kind)


@every
def test_contextual_and_collective_values_are_normal_globally(name, frames):
    frame = frames[name]
    low, high = features(name, normal(frame)).quantile([0.001, 0.999]).to_numpy()
    for kind, spec in kinds(name).items():
        if spec.type != "point":
            x = features(name, of(frame, kind)).to_numpy()
            inside = ((x >= low) & (x <= high)).all(axis=1)
            assert inside.mean() > 0.8, kind


def test_unusual_amounts_are_normal_but_not_for_the_card_and_shop(frames):
    frame = frames["financial_transactions"]
    habit, odd = normal(frame), of(frame, "unusual_amount")
    low, high = habit["amount"].quantile([0.01, 0.99])
    assert odd["amount"].between(low, high).all()
    most = habit.groupby(["card_id", "category"], observed=True)["amount"].agg(["max", "size"])
    context = odd.join(most, on=["card_id", "category"])
    context = context[context["size"] >= 5]
    assert len(context) > 100
    assert (context["amount"] > context["max"]).mean() > 0.8


def test_unusual_times_are_when_others_buy(frames):
    frame = frames["financial_transactions"]
    habit, odd = normal(frame), of(frame, "unusual_time")
    assert (share_in_hour(habit, "card_id", odd) < 0.01).mean() > 0.9
    everyone = hour(habit).value_counts(normalize=True)
    assert everyone.reindex(hour(odd).unique()).min() > 0.003
    assert odd["amount"].between(*habit["amount"].quantile([0.005, 0.995])).mean() > 0.95


def test_impossible_travel_is_faster_than_a_plane(frames):
    frame = frames["financial_transactions"]
    read = frame[frame["channel"] != "online"].sort_values(["card_id", "timestamp"])
    before = read.groupby("card_id", observed=True)[["lat", "lon", "timestamp"]].shift()
    km = distance_km(before["lat"], before["lon"], read["lat"], read["lon"])
    hours = (read["timestamp"] - before["timestamp"]).dt.total_seconds() / 3600 + 1e-3
    speed = km / hours
    first = (read["anomaly_kind"] == "impossible_travel") & ~read["incident_id"].duplicated()
    assert (speed[first] > 900).mean() > 0.95
    honest = (read["is_anomaly"] == 0) & (
        read["is_anomaly"].groupby(read["card_id"], observed=True).shift() == 0
    )
    assert (speed[honest & (km > 100)] < 900).mean() > 0.9
    # People do travel: the places themselves are nothing special.
    assert 0.02 < (normal(frame)["distance_from_home_km"] > 300).mean() < 0.15


def test_card_testing_is_a_burst_of_small_payments(frames):
    frame = frames["financial_transactions"]
    tests = of(frame, "card_testing")
    assert tests["amount"].median() < normal(frame)["amount"].median()
    runs = tests.groupby("incident_id")
    assert (runs["card_id"].nunique() == 1).all()
    assert (runs["merchant_id"].nunique() > 5).all()
    slot = frame["timestamp"].dt.floor("15min")
    honest = normal(frame).groupby(["card_id", slot], observed=True).size()
    assert honest.max() < runs.size().max()
    assert (honest >= 5).mean() < 1e-3


def test_large_amounts_also_have_honest_rivals(frames):
    frame = frames["financial_transactions"]
    large = of(frame, "large_amount")["amount"]
    assert large.median() > normal(frame)["amount"].quantile(0.995)
    assert (normal(frame)["amount"] > large.median()).sum() > 10


def test_payments_follow_the_day_the_week_and_the_owner(frames):
    habit = normal(frames["financial_transactions"])
    hours = hour(habit).value_counts()
    assert hours[18] > 8 * hours[4]
    amount = habit.groupby("card_id", observed=True)["amount"].median()
    assert amount.quantile(0.9) > 1.8 * amount.quantile(0.1)
    assert habit["amount"].max() > 100 * habit["amount"].median()
    favourites = habit.groupby("card_id", observed=True)["merchant_id"].agg(
        lambda shops: shops.value_counts().head(5).sum() / len(shops)
    )
    assert favourites.median() > 0.3
    assert set(habit.loc[habit["category"] == "cash", "amount"] % 10) == {0.0}


def test_data_exfiltration_is_large_for_the_host_and_its_hour_only(frames):
    frame = frames["network_traffic"]
    habit, odd = normal(frame), of(frame, "data_exfiltration")
    assert odd["bytes_out"].between(*habit["bytes_out"].quantile([0.01, 0.99])).all()
    everyone = hour(habit).value_counts(normalize=True)
    habit = habit[habit["src_ip"].isin(odd["src_ip"])].astype({"src_ip": str})
    odd = odd.astype({"src_ip": str})
    own = habit.groupby("src_ip")["bytes_out"].quantile(0.995)
    assert (odd["bytes_out"].to_numpy() > own[odd["src_ip"]].to_numpy()).mean() > 0.9
    assert (share_in_hour(habit, "src_ip", odd) < 0.02).mean() > 0.9
    assert everyone.reindex(hour(odd).unique()).min() > 0.003


def test_ddos_floods_one_server_from_everywhere(frames):
    frame = frames["network_traffic"]
    for _, flows in of(frame, "ddos").groupby("incident_id"):
        assert flows["dst_ip"].nunique() == 1
        assert flows["src_ip"].nunique() > 0.8 * len(flows)
    minute = frame["timestamp"].dt.floor("min")
    calm = normal(frame).groupby(["dst_ip", minute], observed=True).size()
    worst = of(frame, "ddos").groupby(["incident_id", minute]).size().groupby("incident_id").max()
    assert worst.median() > 1.5 * calm.quantile(0.9999)


def test_port_scans_try_many_ports_of_one_host(frames):
    frame = frames["network_traffic"]
    pair = ["src_ip", "dst_ip"]
    scans = of(frame, "port_scan").groupby("incident_id")
    assert (scans[pair].nunique() == 1).all().all()
    assert (scans["dst_port"].nunique() >= 8).all()
    assert ((scans["timestamp"].max() - scans["timestamp"].min()) < pd.Timedelta("10min")).all()
    time = frame["timestamp"].dt.floor("h")
    ports = normal(frame).groupby([*pair, time], observed=True)["dst_port"].nunique()
    assert ports.max() < 8
    # Knocking at a closed port happens every day, so one flow proves nothing.
    refused = normal(frame)["state"].isin(["no_reply", "rejected"])
    assert refused.mean() > 0.02


def test_beacons_keep_their_beat(frames):
    frame = frames["network_traffic"]
    for _, calls in of(frame, "beaconing").groupby("incident_id"):
        gaps = calls["timestamp"].diff().dt.total_seconds().dropna()
        if len(gaps) > 5:
            assert gaps.std() < 0.06 * gaps.mean()
            assert calls["dst_ip"].nunique() == 1
    pair = normal(frame).groupby(["src_ip", "dst_ip"], observed=True)["timestamp"]
    gaps = (
        pair.diff()
        .dt.total_seconds()
        .groupby([normal(frame)["src_ip"], normal(frame)["dst_ip"]], observed=True)
    )
    spread = (gaps.std() / gaps.mean())[gaps.size() > 12]
    assert spread.quantile(0.001) > 0.3


def test_flows_agree_with_themselves(frames):
    flows = frames["network_traffic"]
    assert (flows.loc[flows["state"] == "no_reply", "bytes_in"] == 0).all()
    assert (flows["bytes_out"] >= 40).all()
    assert (flows["src_ip"].cat.codes != flows["dst_ip"].cat.codes).all()
    assert ((flows["bytes_out"] + flows["bytes_in"]) / flows["packets"] <= 1500).all()
    speed = (flows["bytes_out"] + flows["bytes_in"]) / flows["duration_s"].clip(lower=0.01)
    assert speed.max() < 1.3e8
    outside = ~flows["src_ip"].astype(str).str.startswith("10.")
    outside |= ~flows["dst_ip"].astype(str).str.startswith("10.")
    assert (outside == (flows["country"] != "inside")).all()
    office = normal(flows)
    office = office[office["src_ip"].astype(str).str.startswith("10.0.")]
    by_day = office.groupby(office["timestamp"].dt.day_of_week).size()
    assert by_day[[5, 6]].max() < 0.3 * by_day[[0, 1, 2, 3]].min()


def healthy(frame: pd.DataFrame, column: str, *terms: str) -> pd.Series:
    """Residual of a column given load, lagged load and ambient, machine by machine, in sigmas."""
    residual = pd.Series(0.0, index=frame.index)
    for _, rows in frame.groupby("machine_id", observed=True):
        load = rows["load_pct"] / 100
        lagged = load.ewm(alpha=1 - np.exp(-5 / 35), adjust=False).mean()
        speed = (0.3 + 0.7 * load) ** 2
        basis = np.column_stack(
            [np.ones(len(rows)), load, lagged, lagged**2, speed, speed * lagged, rows["ambient_c"]]
        )
        fit = (rows["is_anomaly"] == 0).to_numpy()
        target = rows[column].to_numpy()
        weights = np.linalg.lstsq(basis[fit], target[fit], rcond=None)[0]
        error = target - basis @ weights
        residual.loc[rows.index] = error / error[fit].std()
    return residual


def test_machines_obey_their_physics(frames):
    frame, shaking = normal(frames["iot_sensors"]), []
    for _, rows in frame.groupby("machine_id", observed=True):
        assert np.corrcoef(rows["load_pct"], rows["power_kw"])[0, 1] > 0.95
        assert np.corrcoef(rows["speed_rpm"] ** 2, rows["pressure_bar"])[0, 1] > 0.9
        shaking.append(np.corrcoef(rows["speed_rpm"], np.log(rows["vibration_mm_s"]))[0, 1])
        # Heat follows load: half an hour later the two agree best.
        rise = rows["temperature_c"] - rows["ambient_c"]
        lags = [rows["load_pct"].shift(k).corr(rise) for k in (0, 6, 24)]
        assert lags[1] > max(lags[0], lags[2])
        assert lags[1] > 0.9
    # A critical speed in mid-range can hide it in one machine, not in all.
    assert np.mean(shaking) > 0.4


def test_failures_break_the_relation_not_the_range(frames):
    frame = frames["iot_sensors"]
    habit = normal(frame)
    for kind, column, sign in (
        ("overheating", "temperature_c", 1),
        ("pressure_loss", "pressure_bar", -1),
    ):
        odd = of(frame, kind)
        off = sign * healthy(frame, column)
        assert off[odd.index].median() > 4
        assert (off[odd.index] > off[habit.index].quantile(0.99)).mean() > 0.85
        inside = odd[column].between(*habit[column].quantile([0.01, 0.99]))
        assert inside.mean() > 0.85, kind


def test_bearing_wear_shows_over_hours(frames):
    frame = frames["iot_sensors"]
    ratio = np.exp(healthy(frame.assign(v=np.log(frame["vibration_mm_s"].clip(lower=0.01))), "v"))
    for _, rows in of(frame, "bearing_wear").groupby("incident_id"):
        if len(rows) >= 24:
            third = len(rows) // 3
            late, early = np.log(ratio[rows.index[-third:]]), np.log(ratio[rows.index[:third]])
            assert late.mean() - early.mean() > 0.5
            assert late.mean() > 1.0


def test_stuck_sensors_repeat_one_value(frames):
    frame = frames["iot_sensors"]
    sensors = ["temperature_c", "pressure_bar", "vibration_mm_s"]
    for _, rows in of(frame, "stuck_sensor").groupby("incident_id"):
        assert (rows[sensors].nunique() == 1).sum() == 1
        assert rows["machine_id"].nunique() == 1
    steps = normal(frame).groupby("machine_id", observed=True)["temperature_c"].diff()
    assert (steps == 0).mean() < 0.01


def test_sensor_faults_leave_the_span_by_any_side(frames):
    frame = frames["iot_sensors"]
    faults, spans = (
        of(frame, "sensor_fault"),
        {"temperature_c": 150, "pressure_bar": 25, "vibration_mm_s": 25},
    )
    outside = pd.DataFrame({c: ~faults[c].between(0, top) for c, top in spans.items()})
    assert (outside.sum(axis=1) >= 1).all()
    assert outside.mean().min() > 0.2


def test_readings_come_every_five_minutes_from_every_machine(frames):
    frame = frames["iot_sensors"]
    for _, rows in frame.groupby("machine_id", observed=True):
        assert (rows["timestamp"].diff().dropna() == pd.Timedelta("5min")).all()


def test_sessions_have_a_beginning_an_end_and_one_owner(frames):
    habit = normal(frames["user_behavior"]).sort_values(["session_id", "timestamp"], kind="stable")
    sessions = habit.groupby("session_id")
    assert (sessions[["user_id", "ip", "device", "city"]].nunique() == 1).all().all()
    assert sessions["action"].first().isin(["login", "login_failed"]).all()
    follows = habit["action"].shift().where(habit["session_id"].diff() == 0)
    assert not (follows == "logout").any()
    assert set(habit.loc[follows == "login_failed", "action"]) <= {"login", "login_failed"}
    assert 6 < sessions.size().mean() < 14
    gaps = sessions["timestamp"].diff().dt.total_seconds().dropna()
    assert 10 < gaps.median() < 30
    assert gaps.quantile(0.99) > 8 * gaps.median()
    spread = (
        sessions["timestamp"]
        .diff()
        .dt.total_seconds()
        .groupby(habit["session_id"])
        .agg(["std", "mean", "size"])
    )
    assert (spread["std"] / spread["mean"])[spread["size"] > 20].min() > 0.2


def test_suspicious_access_is_odd_for_the_user_only(frames):
    frame = frames["user_behavior"]
    habit, odd = normal(frame), of(frame, "suspicious_access")
    assert (share_in_hour(habit, "user_id", odd) < 0.02).mean() > 0.9
    device = pd.crosstab(habit["user_id"], habit["device"], dropna=False)
    user, kind = device.index.get_indexer(odd["user_id"]), device.columns.get_indexer(odd["device"])
    assert (device.to_numpy()[user, kind] == 0).all()
    country = pd.crosstab(habit["user_id"], habit["country"], normalize="index", dropna=False)
    own = country.to_numpy()[
        country.index.get_indexer(odd["user_id"]), country.columns.get_indexer(odd["country"])
    ]
    assert (own < 0.05).mean() > 0.9
    for column in ("device", "country"):
        assert set(odd[column]) <= set(habit[column])


def test_privilege_misuse_is_odd_for_the_role_only(frames):
    frame = frames["user_behavior"]
    habit, odd = normal(frame), of(frame, "privilege_misuse")
    table = pd.crosstab(habit["role"], habit["resource"], dropna=False)
    role, resource = (
        table.index.get_indexer(odd["role"]),
        table.columns.get_indexer(odd["resource"]),
    )
    assert (table.to_numpy()[role, resource] == 0).all()
    assert habit["resource"].value_counts(normalize=True).min() > 0.005
    # It happens inside a session that began as any other.
    assert odd["session_id"].isin(habit["session_id"]).mean() > 0.95


def test_bots_and_brute_force_show_in_the_sequence(frames):
    frame = frames["user_behavior"]
    habit = normal(frame)
    for _, views in of(frame, "bot").groupby("incident_id"):
        gaps = views["timestamp"].diff().dt.total_seconds().dropna()
        if len(gaps) > 10:
            assert gaps.std() < 0.1 * gaps.mean()
            assert gaps.mean() < 4
    assert habit["action"].value_counts(normalize=True)["view"] > 0.4
    tries = of(frame, "brute_force")
    assert (tries["action"] == "login_failed").mean() > 0.9
    slot = frame["timestamp"].dt.floor("10min")
    failed = habit[habit["action"] == "login_failed"]
    honest = failed.groupby(["user_id", slot], observed=True).size()
    assert len(failed) > 300
    assert honest.max() < 8
    assert tries.groupby("incident_id").size().median() > 12
