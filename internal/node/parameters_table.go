package node

// postgresqlDocs are the chapters of PostgreSQL's documentation.
const postgresqlDocs = "https://www.postgresql.org/docs/current/"

// parameters is the one place that says what PostgreSQL is set to. The values are those
// of pgsql_cluster where no other source is named; docs/parameters.md shows them. A rule
// sees what stands above it. A parameter that Patroni takes from the DCS only is never a
// node's own: see CMDLINE_OPTIONS in Patroni's postgresql/config.py, versions 2.0 to 4.0.
var parameters = []parameter{
	// Connections.
	{name: "max_connections", value: 200},
	{name: "superuser_reserved_connections", value: 5, words: "so that a DBA, Patroni and monitoring get in where clients took all the rest"},
	{name: "password_encryption", value: "scram-sha-256"},
	{name: "unix_socket_directories", value: "/var/run/postgresql", words: "where Debian's programs look", source: "https://manpages.debian.org/pg_createcluster"},

	// TLS.
	{name: "ssl", value: "on", own: true, source: postgresqlDocs + "ssl-tcp.html"},
	{name: "ssl_cert_file", value: certificateFile, own: true, words: "the node's certificate", source: postgresqlDocs + "ssl-tcp.html"},
	{name: "ssl_key_file", value: keyFile, own: true, source: postgresqlDocs + "ssl-tcp.html"},
	{name: "ssl_ca_file", value: CAFile, own: true, words: "by which clients may show a certificate, where pg_hba asks for one", source: postgresqlDocs + "ssl-tcp.html"},

	// Memory.
	{
		name: "shared_buffers", rule: sharedBuffers, own: true, base: 8 << 10,
		words:  "a quarter of the memory, at least 128MB",
		source: postgresqlDocs + "runtime-config-resource.html#GUC-SHARED-BUFFERS",
	},
	{
		name: "work_mem", rule: workMem, own: true, base: 1 << 10,
		words:  "a 64th of the memory, but no more than half of what shared_buffers leave, divided by max_connections; at least 4MB",
		source: postgresqlDocs + "runtime-config-resource.html#GUC-WORK-MEM",
	},
	{
		name: "maintenance_work_mem", rule: maintenanceWorkMem, own: true, base: 1 << 10,
		words: "4 times work_mem, at least 64MB, at most 2GB",
	},
	{name: "temp_buffers", value: "32MB"},
	{name: "huge_pages", value: "try"},
	{
		name: "huge_page_size", rule: hugePageSize, own: true, first: 14, base: 1 << 10,
		words:  "that of system.huge_page_size, since the kernel's default may be another",
		source: postgresqlDocs + "runtime-config-resource.html#GUC-HUGE-PAGE-SIZE",
	},
	{name: "max_files_per_process", value: 4096},

	// Processes.
	{name: "max_worker_processes", value: 8},
	{name: "max_parallel_workers", value: 8},
	{name: "max_parallel_workers_per_gather", value: 4},
	{name: "max_parallel_maintenance_workers", value: 4, first: 11},

	// Planning.
	{
		name: "effective_cache_size", rule: effectiveCacheSize, own: true, base: 8 << 10,
		words: "the memory without shared_buffers, at least 128MB",
	},
	{name: "default_statistics_target", value: 100},
	{name: "seq_page_cost", value: 1},
	{
		name: "random_page_cost", rule: randomPageCost, own: true,
		words: "2.0 on rotational disks and those of no known kind, 1.1 on SSDs, 1.0 on NVMe. pgsql_cluster has 0.1 for NVMe; " +
			"but then a page out of order would cost less than the next one, which PostgreSQL calls not physically sensible",
		source: postgresqlDocs + "runtime-config-query.html#GUC-RANDOM-PAGE-COST",
	},
	{
		name: "effective_io_concurrency", rule: effectiveIOConcurrency, own: true,
		words: "4 on rotational disks and those of no known kind, 200 on SSDs and NVMe",
	},
	{name: "jit", value: "off", first: 11},

	// The write-ahead log.
	{name: "wal_level", value: "replica"},
	{name: "synchronous_commit", value: "on"},
	{name: "wal_log_hints", value: "on", words: "so that pg_rewind works without checksums too"},
	{name: "wal_compression", value: "on"},
	{name: "wal_buffers", value: -1, base: 8 << 10, words: "PostgreSQL's own choice, by shared_buffers"},
	{name: "checkpoint_timeout", value: "30min"},
	{name: "checkpoint_completion_target", value: 0.9},
	{
		name: "max_wal_size", rule: maxWALSize, own: true, base: mb,
		words:  "8GB, but no more than a tenth of the file system that has the WAL; at least 32MB",
		source: postgresqlDocs + "wal-configuration.html",
	},
	{
		name: "min_wal_size", rule: minWALSize, own: true, base: mb,
		words:  "2GB, but no more than a 40th of the file system that has the WAL; at least 32MB",
		source: postgresqlDocs + "wal-configuration.html",
	},
	{name: "archive_mode", value: "on", words: "since a restart would be needed to begin later"},
	{name: "archive_command", value: "cd .", words: "which succeeds and archives nothing, until a command is given"},
	{name: "archive_timeout", value: "1800s"},

	// Replication.
	{name: "max_wal_senders", value: 10},
	{name: "max_replication_slots", value: 10},
	{
		name: "wal_keep_size", rule: walKeepSize, first: 13, base: mb, twin: "wal_keep_segments",
		words:  "8GB, but no more than a tenth of the file system that has the WAL where the cluster is born; at least 16MB",
		source: postgresqlDocs + "runtime-config-replication.html#GUC-WAL-KEEP-SIZE",
	},
	{
		name: "wal_keep_segments", rule: walKeepSegments, last: 12, twin: "wal_keep_size",
		words:  "as many segments of 16MB as wal_keep_size has",
		source: "https://www.postgresql.org/docs/12/runtime-config-replication.html#GUC-WAL-KEEP-SEGMENTS",
	},
	{name: "max_prepared_transactions", value: 0},
	{name: "hot_standby", value: "on"},
	{name: "hot_standby_feedback", value: "on"},
	{name: "max_standby_streaming_delay", value: "30s"},
	{name: "wal_receiver_status_interval", value: "10s"},

	// Locks and time limits.
	{name: "deadlock_timeout", value: "5s"},
	{name: "max_locks_per_transaction", value: 256},
	{name: "idle_in_transaction_session_timeout", value: "90min"},

	// Autovacuum.
	{name: "autovacuum", value: "on"},
	{
		name: "autovacuum_max_workers", rule: autovacuumMaxWorkers, own: true,
		words: "half of the cores, at least 4, at most 10",
	},
	{name: "autovacuum_naptime", value: "1min"},
	{name: "autovacuum_vacuum_threshold", value: 25},
	{name: "autovacuum_vacuum_scale_factor", value: 0.05},
	{name: "autovacuum_analyze_scale_factor", value: 0.1},
	{name: "autovacuum_vacuum_cost_limit", value: 1000},
	{name: "autovacuum_vacuum_cost_delay", value: "2ms"},

	// Logging.
	{name: "logging_collector", value: "on"},
	{name: "log_directory", value: "/var/log/postgresql"},
	{name: "log_filename", value: "postgresql-%d.log", words: "one for each day of the month, so that a month is kept"},
	{name: "log_truncate_on_rotation", value: "on"},
	{name: "log_rotation_age", value: "1d"},
	{name: "log_rotation_size", value: 0},
	{name: "log_line_prefix", value: "%t [%p]: [%l-1] %r db=%d,user=%u,app=%a,client=%h "},
	{name: "log_checkpoints", value: "on"},
	{name: "log_lock_waits", value: "on"},
	{name: "log_temp_files", value: 0},
	{
		name: "log_timezone", rule: timezone, own: true,
		words: "system.timezone of the node, as in its journal",
	},
	{
		name: "timezone", rule: timezone,
		words: "system.timezone of the node where the cluster is born; the cluster's, so that a client sees no other time after a failover",
	},

	// Statistics.
	{name: "track_activities", value: "on"},
	{name: "track_counts", value: "on"},
	{name: "track_functions", value: "all"},
	{name: "track_io_timing", value: "off"},
	{
		name: "stats_temp_directory", rule: statsTempDirectory, own: true, last: 14,
		words:  "the tmpfs for statistics, where there is one",
		source: "https://www.postgresql.org/docs/14/runtime-config-statistics.html#GUC-STATS-TEMP-DIRECTORY",
	},

	// Libraries.
	{name: "shared_preload_libraries", value: "pg_stat_statements,auto_explain"},
	{name: "pg_stat_statements.max", value: 10000},
	{name: "pg_stat_statements.track", value: "all"},
	{name: "pg_stat_statements.track_utility", value: "on"},
	{name: "pg_stat_statements.save", value: "on"},
	{name: "auto_explain.log_min_duration", value: "15s"},
	{name: "auto_explain.log_analyze", value: "on"},
	{name: "auto_explain.log_buffers", value: "on"},
	{name: "auto_explain.log_timing", value: "off", words: "since reading the clock for each row is what makes log_analyze slow"},
	{name: "auto_explain.log_triggers", value: "on"},
	{name: "auto_explain.log_verbose", value: "on"},
	{name: "auto_explain.log_nested_statements", value: "on"},
}
