-- Canonical snapshot of every user-visible schema object: one row per object: (kind, identity, definition jsonb). PG 15..18.
-- Run with: SET search_path = '' so that pg_get_*def qualifies every name. Version-only columns are read through to_jsonb(row)->'col'.
WITH
ns AS MATERIALIZED (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
ext AS MATERIALIZED (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
rel AS MATERIALIZED (
  SELECT c.*, quote_ident(n.nspname)||'.'||quote_ident(c.relname) AS fq
  FROM pg_catalog.pg_class c JOIN ns n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r','p','v','m','f','S','c','i','I') AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid)),
typ AS MATERIALIZED (
  SELECT t.*, quote_ident(n.nspname)||'.'||quote_ident(t.typname) AS fq
  FROM pg_catalog.pg_type t JOIN ns n ON n.oid = t.typnamespace
  WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_type'::regclass AND e.objid = t.oid)),
prc AS MATERIALIZED (
  SELECT p.*, quote_ident(n.nspname)||'.'||quote_ident(p.proname)||'('||pg_get_function_identity_arguments(p.oid)||')' AS fq
  FROM pg_catalog.pg_proc p JOIN ns n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid)),
snap(kind, ident, def) AS (
-- schemas
SELECT 'schema', quote_ident(n.nspname), jsonb_build_object('owner', n.nspowner::regrole::text, 'acl', CASE WHEN n.nspacl IS NULL OR (n.nspacl @> acldefault('n', n.nspowner) AND n.nspacl <@ acldefault('n', n.nspowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(n.nspacl)) x) END)
  FROM pg_catalog.pg_namespace n JOIN ns USING (oid) WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_namespace'::regclass AND e.objid = n.oid)
UNION ALL
-- relations
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite type' END, c.fq,
  jsonb_strip_nulls(jsonb_build_object('relkind', c.relkind, 'persistence', c.relpersistence, 'owner', c.relowner::regrole::text, 'rls', c.relrowsecurity, 'force_rls', c.relforcerowsecurity,
   'replica_identity', c.relreplident, 'options', c.reloptions, 'toast_options', (SELECT t.reloptions FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid),
   'tablespace', (SELECT spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace), 'access_method', (SELECT amname FROM pg_catalog.pg_am a WHERE a.oid = c.relam),
   'of_type', CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END, 'partition_key', pg_get_partkeydef(c.oid), 'partition_bound', pg_get_expr(c.relpartbound, c.oid),
   'inherits', (SELECT jsonb_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
   'detach_pending', CASE WHEN c.relispartition THEN (SELECT bool_or(i.inhdetachpending) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid) END,
   'definition', CASE WHEN c.relkind IN ('v','m') THEN pg_get_viewdef(c.oid) END,
   'populated', CASE WHEN c.relkind = 'm' THEN c.relispopulated END,
   'foreign', (SELECT jsonb_build_object('server', s.srvname, 'options', f.ftoptions) FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
   'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
   'acl', CASE WHEN c.relacl IS NULL OR (c.relacl @> acldefault('r', c.relowner) AND c.relacl <@ acldefault('r', c.relowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(c.relacl)) x) END))
  FROM rel c WHERE c.relkind IN ('r','p','v','m','f','c')
UNION ALL
-- columns
SELECT 'column', c.fq||'.'||quote_ident(a.attname), jsonb_strip_nulls(jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
   -- Since 18 a constraint of its own. Names that the system gave are no property.
   'not_null_constraint', nullif(jsonb_strip_nulls(jsonb_build_object('name', CASE WHEN k.conname !~ '_not_null[0-9]*$' THEN k.conname END, 'valid', nullif(k.convalidated, true), 'no_inherit', nullif(k.connoinherit, false))), '{}'),
   'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, 'generated', CASE WHEN a.attgenerated <> '' THEN a.attgenerated::text||' '||pg_get_expr(d.adbin, d.adrelid) END, 'identity', nullif(a.attidentity::text,''),
   'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END, 'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,
   'compression', nullif(a.attcompression::text,''), 'statistics', nullif(a.attstattarget,-1), 'options', a.attoptions, 'fdw_options', a.attfdwoptions,
   'local', a.attislocal, 'inherited', nullif(a.attinhcount,0),
   'acl', CASE WHEN a.attacl IS NOT NULL THEN (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(a.attacl)) x) END))
  FROM rel c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum WHERE c.relkind IN ('r','p','v','m','f','c')
UNION ALL
-- constraints (tables and domains)
SELECT 'constraint', coalesce(c.fq, t.fq)||'.'||quote_ident(k.conname), jsonb_build_object('def', pg_get_constraintdef(k.oid), 'valid', k.convalidated, 'local', k.conislocal, 'inherited', k.coninhcount, 'no_inherit', k.connoinherit, 'enforced', (to_jsonb(k)->'conenforced'))
  FROM pg_catalog.pg_constraint k LEFT JOIN rel c ON c.oid = k.conrelid AND k.conrelid <> 0 LEFT JOIN typ t ON t.oid = k.contypid AND k.contypid <> 0
  WHERE (c.oid IS NOT NULL OR t.oid IS NOT NULL) AND k.contype NOT IN ('t', 'n')
UNION ALL
-- indexes
SELECT 'index', c.fq, jsonb_strip_nulls(jsonb_build_object('def', pg_get_indexdef(c.oid), 'valid', i.indisvalid, 'ready', i.indisready, 'primary', i.indisprimary, 'immediate', i.indimmediate, 'clustered', nullif(i.indisclustered,false), 'replica_identity', nullif(i.indisreplident,false),
   'tablespace', (SELECT spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace), 'parent', (SELECT h.inhparent::regclass::text FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid),
   'stats', CASE WHEN i.indexprs IS NOT NULL THEN (SELECT jsonb_object_agg(a.attnum, a.attstattarget) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) END))
  FROM rel c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
UNION ALL
-- sequences
SELECT 'sequence', c.fq, jsonb_build_object('type', s.seqtypid::regtype::text, 'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle, 'persistence', c.relpersistence, 'owner', c.relowner::regrole::text,
   'owned_by', (SELECT d.refobjid::regclass::text||'.'||a.attname||'/'||d.deptype::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a','i') LIMIT 1),
   'acl', CASE WHEN c.relacl IS NULL OR (c.relacl @> acldefault('s', c.relowner) AND c.relacl <@ acldefault('s', c.relowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(c.relacl)) x) END)
  FROM rel c JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
UNION ALL
-- triggers, rules, policies
SELECT 'trigger', c.fq||'.'||quote_ident(t.tgname), jsonb_build_object('def', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled) FROM rel c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'rule', c.fq||'.'||quote_ident(r.rulename), jsonb_build_object('def', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled) FROM rel c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', c.fq||'.'||quote_ident(p.polname), jsonb_build_object('cmd', p.polcmd, 'permissive', p.polpermissive, 'roles', (SELECT jsonb_agg(CASE WHEN r = 0 THEN 'public' ELSE r::regrole::text END ORDER BY r::regrole::text) FROM unnest(p.polroles) r), 'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)) FROM rel c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
UNION ALL
-- functions, procedures, window functions, aggregates
SELECT CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END, p.fq, jsonb_build_object('owner', p.proowner::regrole::text,
   'def', CASE WHEN p.prokind <> 'a' THEN to_jsonb(pg_get_functiondef(p.oid)) ELSE (SELECT jsonb_build_object('result', pg_get_function_result(p.oid), 'args', pg_get_function_arguments(p.oid), 'kind', g.aggkind, 'sfunc', g.aggtransfn::regprocedure::text, 'ffunc', g.aggfinalfn::oid::regprocedure::text, 'comb', g.aggcombinefn::oid::regprocedure::text, 'ser', g.aggserialfn::oid::regprocedure::text, 'deser', g.aggdeserialfn::oid::regprocedure::text, 'mf', g.aggmtransfn::oid::regprocedure::text, 'mi', g.aggminvtransfn::oid::regprocedure::text, 'mff', g.aggmfinalfn::oid::regprocedure::text, 'sort', g.aggsortop::regoperator::text, 'stype', g.aggtranstype::regtype::text, 'init', g.agginitval, 'mstype', g.aggmtranstype::regtype::text, 'minit', g.aggminitval, 'parallel', p.proparallel) FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid) END,
   'acl', CASE WHEN p.proacl IS NULL OR (p.proacl @> acldefault('f', p.proowner) AND p.proacl <@ acldefault('f', p.proowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(p.proacl)) x) END) FROM prc p
UNION ALL
-- types: enum, domain, range, base
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'base type' END, t.fq, jsonb_strip_nulls(jsonb_build_object('owner', t.typowner::regrole::text,
   'labels', CASE WHEN t.typtype = 'e' THEN (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END,
   'domain', CASE WHEN t.typtype = 'd' THEN jsonb_build_object('base', format_type(t.typbasetype, t.typtypmod), 'not_null', t.typnotnull, 'default', t.typdefault, 'collation', nullif(t.typcollation,0)::regcollation::text) END,
   'range', (SELECT jsonb_build_object('subtype', r.rngsubtype::regtype::text, 'collation', nullif(r.rngcollation,0)::regcollation::text, 'opclass', (SELECT o.opcname FROM pg_catalog.pg_opclass o WHERE o.oid = r.rngsubopc), 'canonical', r.rngcanonical::oid::regprocedure::text, 'diff', r.rngsubdiff::oid::regprocedure::text, 'multirange', (to_jsonb(r)->>'rngmultitypid')::oid::regtype::text) FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
   'base', CASE WHEN t.typtype = 'b' THEN jsonb_build_object('in', t.typinput::oid::regprocedure::text, 'out', t.typoutput::oid::regprocedure::text, 'len', t.typlen, 'align', t.typalign, 'storage', t.typstorage, 'category', t.typcategory) END,
   'acl', CASE WHEN t.typacl IS NULL OR (t.typacl @> acldefault('T', t.typowner) AND t.typacl <@ acldefault('T', t.typowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(t.typacl)) x) END))
  FROM typ t WHERE t.typtype IN ('e','d','r') OR (t.typtype = 'b' AND t.typelem = 0) OR (t.typtype='b' AND t.typsubscript::oid <> 'pg_catalog.array_subscript_handler'::regproc::oid AND t.typtype='b' AND t.typelem<>0)
UNION ALL
-- default privileges
SELECT 'default privileges', d.defaclrole::regrole::text||'/'||coalesce((SELECT nspname FROM pg_catalog.pg_namespace n WHERE n.oid = d.defaclnamespace),'*')||'/'||d.defaclobjtype::text, (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(d.defaclacl)) x) FROM pg_catalog.pg_default_acl d
UNION ALL
SELECT 'extension', quote_ident(x.extname), jsonb_build_object('version', x.extversion, 'schema', x.extnamespace::regnamespace::text, 'owner', x.extowner::regrole::text) FROM pg_catalog.pg_extension x
UNION ALL
SELECT 'event trigger', quote_ident(t.evtname), jsonb_build_object('event', t.evtevent, 'tags', t.evttags, 'function', t.evtfoid::regprocedure::text, 'enabled', t.evtenabled, 'owner', t.evtowner::regrole::text) FROM pg_catalog.pg_event_trigger t
UNION ALL
SELECT 'publication', quote_ident(p.pubname), (to_jsonb(p) - 'oid' - 'pubname') || jsonb_build_object('pubowner', p.pubowner::regrole::text, 'tables', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('t', r.prrelid::regclass::text, 'where', pg_get_expr(r.prqual, r.prrelid), 'cols', (SELECT jsonb_agg(a.attname ORDER BY a.attname) FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)))) ORDER BY r.prrelid::regclass::text) FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid),
   'schemas', (SELECT jsonb_agg(r.pnnspid::regnamespace::text ORDER BY r.pnnspid::regnamespace::text) FROM pg_catalog.pg_publication_namespace r WHERE r.pnpubid = p.oid)) FROM pg_catalog.pg_publication p
UNION ALL
SELECT 'statistics', quote_ident(n.nspname)||'.'||quote_ident(s.stxname), jsonb_build_object('def', pg_get_statisticsobjdef(s.oid), 'target', to_jsonb(s)->'stxstattarget', 'owner', s.stxowner::regrole::text) FROM pg_catalog.pg_statistic_ext s JOIN ns n ON n.oid = s.stxnamespace
UNION ALL
SELECT 'collation', quote_ident(n.nspname)||'.'||quote_ident(c.collname), (to_jsonb(c) - 'oid' - 'collname' - 'collnamespace' - 'collversion') || jsonb_build_object('collowner', c.collowner::regrole::text) FROM pg_catalog.pg_collation c JOIN ns n ON n.oid = c.collnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_collation'::regclass AND e.objid = c.oid)
UNION ALL
SELECT 'operator', o.oid::regoperator::text, jsonb_build_object('owner', o.oprowner::regrole::text, 'proc', o.oprcode::oid::regprocedure::text, 'result', o.oprresult::regtype::text, 'commutator', o.oprcom::regoperator::text, 'negator', o.oprnegate::regoperator::text, 'restrict', o.oprrest::oid::regprocedure::text, 'join', o.oprjoin::oid::regprocedure::text, 'merge', o.oprcanmerge, 'hash', o.oprcanhash) FROM pg_catalog.pg_operator o JOIN ns n ON n.oid = o.oprnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_operator'::regclass AND e.objid = o.oid)
UNION ALL
SELECT 'operator class', quote_ident(n.nspname)||'.'||quote_ident(o.opcname)||' USING '||a.amname, jsonb_build_object('owner', o.opcowner::regrole::text, 'type', o.opcintype::regtype::text, 'default', o.opcdefault, 'key', o.opckeytype::regtype::text, 'family', (SELECT opfname FROM pg_catalog.pg_opfamily f WHERE f.oid = o.opcfamily)) FROM pg_catalog.pg_opclass o JOIN ns n ON n.oid = o.opcnamespace JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_opclass'::regclass AND e.objid = o.oid)
UNION ALL
SELECT 'operator family', quote_ident(n.nspname)||'.'||quote_ident(f.opfname)||' USING '||a.amname, jsonb_build_object('owner', f.opfowner::regrole::text, 'ops', (SELECT jsonb_agg(amopstrategy||' '||amopopr::regoperator::text||' '||amoppurpose::text ORDER BY amopstrategy, amopopr::regoperator::text) FROM pg_catalog.pg_amop WHERE amopfamily = f.oid), 'procs', (SELECT jsonb_agg(amprocnum||' '||amproc::oid::regprocedure::text ORDER BY amprocnum, amproc::oid::regprocedure::text) FROM pg_catalog.pg_amproc WHERE amprocfamily = f.oid)) FROM pg_catalog.pg_opfamily f JOIN ns n ON n.oid = f.opfnamespace JOIN pg_catalog.pg_am a ON a.oid = f.opfmethod WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_opfamily'::regclass AND e.objid = f.oid)
UNION ALL
SELECT 'cast', format_type(c.castsource,NULL)||' AS '||format_type(c.casttarget,NULL), jsonb_build_object('func', c.castfunc::regprocedure::text, 'context', c.castcontext, 'method', c.castmethod) FROM pg_catalog.pg_cast c WHERE c.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_cast'::regclass AND e.objid = c.oid)
UNION ALL
SELECT 'fdw', quote_ident(f.fdwname), jsonb_build_object('owner', f.fdwowner::regrole::text, 'handler', f.fdwhandler::regprocedure::text, 'validator', f.fdwvalidator::regprocedure::text, 'options', f.fdwoptions, 'acl', CASE WHEN f.fdwacl IS NULL OR (f.fdwacl @> acldefault('F', f.fdwowner) AND f.fdwacl <@ acldefault('F', f.fdwowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(f.fdwacl)) x) END) FROM pg_catalog.pg_foreign_data_wrapper f WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass AND e.objid = f.oid)
UNION ALL
SELECT 'server', quote_ident(s.srvname), jsonb_build_object('owner', s.srvowner::regrole::text, 'type', s.srvtype, 'version', s.srvversion, 'options', s.srvoptions, 'fdw', (SELECT fdwname FROM pg_catalog.pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw), 'acl', CASE WHEN s.srvacl IS NULL OR (s.srvacl @> acldefault('S', s.srvowner) AND s.srvacl <@ acldefault('S', s.srvowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(s.srvacl)) x) END) FROM pg_catalog.pg_foreign_server s
UNION ALL
SELECT 'user mapping', u.srvname||'/'||u.usename, to_jsonb(u.umoptions) FROM pg_catalog.pg_user_mappings u
UNION ALL
SELECT 'language', quote_ident(l.lanname), jsonb_build_object('owner', l.lanowner::regrole::text, 'trusted', l.lanpltrusted, 'acl', CASE WHEN l.lanacl IS NULL OR (l.lanacl @> acldefault('l', l.lanowner) AND l.lanacl <@ acldefault('l', l.lanowner)) THEN NULL ELSE (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(l.lanacl)) x) END) FROM pg_catalog.pg_language l WHERE l.lanispl
UNION ALL
SELECT 'text search configuration', quote_ident(n.nspname)||'.'||quote_ident(c.cfgname), jsonb_build_object('owner', c.cfgowner::regrole::text, 'parser', (SELECT prsname FROM pg_catalog.pg_ts_parser p WHERE p.oid = c.cfgparser), 'map', (SELECT jsonb_agg(m.maptokentype||':'||m.mapseqno||':'||m.mapdict::regdictionary::text ORDER BY m.maptokentype, m.mapseqno) FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = c.oid)) FROM pg_catalog.pg_ts_config c JOIN ns n ON n.oid = c.cfgnamespace
UNION ALL
SELECT 'text search dictionary', quote_ident(n.nspname)||'.'||quote_ident(d.dictname), jsonb_build_object('owner', d.dictowner::regrole::text, 'options', d.dictinitoption, 'template', (SELECT tmplname FROM pg_catalog.pg_ts_template t WHERE t.oid = d.dicttemplate)) FROM pg_catalog.pg_ts_dict d JOIN ns n ON n.oid = d.dictnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_ts_dict'::regclass AND e.objid = d.oid)
UNION ALL
-- catch-all: comments and security labels on anything
SELECT 'comment', i.type||' '||i.identity, to_jsonb(d.description) FROM pg_catalog.pg_description d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i WHERE d.objoid >= 16384 AND i.schema IS DISTINCT FROM 'pg_toast' AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = d.classoid AND e.objid = d.objoid)
UNION ALL
SELECT 'security label', s.provider||' '||i.type||' '||i.identity, to_jsonb(s.label) FROM pg_catalog.pg_seclabel s CROSS JOIN LATERAL pg_identify_object(s.classoid, s.objoid, s.objsubid) i
UNION ALL
SELECT 'setting', coalesce(nullif(s.setrole, 0)::regrole::text,'*')||CASE WHEN s.setdatabase = 0 THEN '' ELSE '@database' END, to_jsonb(s.setconfig) FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
UNION ALL
SELECT 'role', quote_ident(r.rolname), to_jsonb(r) - 'oid' - 'rolname' - 'rolpassword' - 'rolconfig' FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT 'membership', m.roleid::regrole::text||' of '||m.member::regrole::text, jsonb_strip_nulls(jsonb_build_object('admin', bool_or(m.admin_option), 'inherit', bool_or((to_jsonb(m)->>'inherit_option')::boolean), 'set', bool_or((to_jsonb(m)->>'set_option')::boolean))) FROM pg_catalog.pg_auth_members m WHERE m.member::regrole::text !~ '^pg_' GROUP BY m.roleid, m.member
UNION ALL
SELECT 'parameter', p.parname, (SELECT jsonb_agg(x.a ORDER BY x.a) FROM (SELECT grantee::regrole::text||'='||privilege_type||CASE WHEN is_grantable THEN '*' ELSE '' END a FROM aclexplode(p.paracl)) x) FROM pg_catalog.pg_parameter_acl p
)
SELECT kind, ident, def::text FROM snap
