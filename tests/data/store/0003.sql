-- A database of version 0003, as a gateway that died during a discharge left it.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE commands (
	id VARCHAR(128) NOT NULL, 
	evse VARCHAR(64), 
	verb VARCHAR(32) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	body TEXT NOT NULL, 
	source VARCHAR(64), 
	channel VARCHAR(16) NOT NULL, 
	received DOUBLE NOT NULL, 
	in_force BOOLEAN NOT NULL, 
	reply_topic VARCHAR(512), 
	reply_correlation BLOB, 
	first TEXT, 
	final TEXT, 
	first_delivered BOOLEAN DEFAULT 0 NOT NULL, 
	final_delivered BOOLEAN DEFAULT 0 NOT NULL, 
	ended DOUBLE, gateway VARCHAR(64) DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "commands" VALUES('old-1','CP1-1','discharge','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','{"id": "old-1", "lease_s": 30.0, "expires_at": null, "priority": 50, "source": "bems", "min_soc_pct": null, "reply_to": null, "power_w": 5000.0}','bems','mqtt',1769940000.0,1,'facility/answers',X'00FF','{"id": "old-1", "verb": "discharge", "evse": "CP1-1", "status": "accepted", "reason": {"code": "granted", "text": "Granted as asked."}, "requested_w": -5000.0, "effective_w": -5000.0, "binding": "command", "lease_until": "2026-02-01T10:00:30.000Z", "measured": null, "shares": null, "source": "bems", "session": "tx1", "gateway": "gw1", "ts": "2026-02-01T10:00:00.000Z"}',NULL,1,0,NULL,'');
INSERT INTO "commands" VALUES('old-2','CP1-1','reserve','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','{"id": "old-2", "lease_s": 30.0, "expires_at": null, "priority": 50, "source": null, "min_soc_pct": 40.0, "reply_to": null, "energy_wh": null}',NULL,'api',1769940001.0,1,NULL,NULL,'{"id": "old-2", "verb": "reserve", "evse": "CP1-1", "status": "accepted", "reason": {"code": "granted", "text": "Granted as asked."}, "requested_w": null, "effective_w": null, "binding": null, "lease_until": null, "measured": null, "shares": null, "source": null, "session": "tx1", "gateway": "gw1", "ts": "2026-02-01T10:00:01.000Z"}','{"id": "old-2", "verb": "reserve", "evse": "CP1-1", "status": "achieved", "reason": {"code": "in_force", "text": "Granted as asked."}, "requested_w": null, "effective_w": null, "binding": null, "lease_until": null, "measured": null, "shares": null, "source": null, "session": "tx1", "gateway": "gw1", "ts": "2026-02-01T10:00:01.000Z"}',1,1,NULL,'');
CREATE TABLE journal (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	wall DOUBLE NOT NULL, 
	step VARCHAR(16) NOT NULL, 
	cause VARCHAR(256) NOT NULL, 
	command VARCHAR(128), 
	evse VARCHAR(64), 
	data TEXT NOT NULL
, gateway VARCHAR(64) DEFAULT '' NOT NULL);
INSERT INTO "journal" VALUES(1,1769940000.0,'received','mqtt','old-1','CP1-1','{}','');
INSERT INTO "journal" VALUES(2,1769940000.01,'validated','discharge','old-1','CP1-1','{}','');
INSERT INTO "journal" VALUES(3,1769940000.02,'journalled','discharge','old-1','CP1-1','{}','');
INSERT INTO "journal" VALUES(4,1769940000.03,'bound','command','old-1','CP1-1','{"effective_w": -5000.0}','');
INSERT INTO "journal" VALUES(5,1769940000.04,'result','granted','old-1','CP1-1','{}','');
INSERT INTO "journal" VALUES(6,1769940000.05,'set','command','old-1','CP1-1','{}','');
INSERT INTO "journal" VALUES(7,1768913600.0,'event','negotiated',NULL,'CP0-1','{"session": "tx9", "needs": {"limits": {"max_charge_w": 11000.0, "max_discharge_w": 10000.0, "min_charge_w": 0.0, "min_discharge_w": 0.0}, "bidirectional": true, "energy_transfer": "DC_BPT", "control_mode": "dynamic", "target_energy_wh": 9000.0, "soc_pct": 80.0, "departure": null, "battery_capacity_wh": 63000.0}}','gw1');
INSERT INTO "journal" VALUES(8,1769940001.0,'event','negotiated',NULL,'CP1-1','{"session": "tx0", "needs": {"limits": {"max_charge_w": 11000.0, "max_discharge_w": 10000.0, "min_charge_w": 0.0, "min_discharge_w": 0.0}, "bidirectional": true, "energy_transfer": "DC_BPT", "control_mode": "dynamic", "target_energy_wh": 9000.0, "soc_pct": 80.0, "departure": null, "battery_capacity_wh": 63000.0}}','gw1');
INSERT INTO "journal" VALUES(9,1769940002.0,'event','negotiated',NULL,'CP2-1','{"session": "tx1", "needs": {"limits": {"max_charge_w": 11000.0, "max_discharge_w": 10000.0, "min_charge_w": 0.0, "min_discharge_w": 0.0}, "bidirectional": true, "energy_transfer": "DC_BPT", "control_mode": "dynamic", "target_energy_wh": 9000.0, "soc_pct": 80.0, "departure": null, "battery_capacity_wh": 63000.0}}','gw1');
INSERT INTO "journal" VALUES(10,1769940003.0,'event','session_ended',NULL,'CP2-1','{"session": "tx1"}','gw1');
INSERT INTO "journal" VALUES(11,1769940004.0,'event','negotiated',NULL,'CP3-1','{"session": "tx2", "needs": {"limits": 1}}','gw1');
CREATE TABLE kept (
	gateway VARCHAR(64) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	"key" VARCHAR(512) NOT NULL, 
	body TEXT NOT NULL, 
	wall DOUBLE NOT NULL, 
	ended DOUBLE, 
	PRIMARY KEY (gateway, kind, "key")
);
CREATE TABLE telemetry (
	evse VARCHAR(64) NOT NULL, 
	wall DOUBLE NOT NULL, 
	power_w DOUBLE, 
	soc_pct DOUBLE, 
	energy_charged_wh DOUBLE, 
	energy_discharged_wh DOUBLE, 
	PRIMARY KEY (evse, wall)
);
CREATE INDEX commands_received ON commands (received);
CREATE INDEX journal_wall ON journal (wall);
CREATE INDEX journal_command ON journal (command);
CREATE INDEX journal_evse ON journal (evse, seq);
CREATE INDEX commands_in_force ON commands (gateway, in_force);
CREATE INDEX telemetry_wall ON telemetry (wall);
CREATE INDEX kept_ended ON kept (gateway, ended);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('journal',11);
COMMIT;
