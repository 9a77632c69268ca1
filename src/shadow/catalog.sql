-- Every user-visible object of a database, one row each: kind, identity, definition. For Postgres 14 to 18;
-- a line that ends in "since 15" is left out for older servers.
--
-- Run with an empty search_path, so that pg_get_*def qualify every name. A definition is an array of values, whose
-- names the row of kind "keys" beside it gives: naming them in every row takes half as long again. Privileges are
-- the array as stored, or the default in its place.
WITH
ns AS MATERIALIZED (SELECT * FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
-- members of extensions, and what comes with a range type: its constructors and casts
ext AS MATERIALIZED (
  SELECT classid, objid, CASE deptype WHEN 'e' THEN refobjid END AS extension FROM pg_catalog.pg_depend
  WHERE deptype = 'e' OR (deptype = 'i' AND classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_cast'::regclass))),
rel AS MATERIALIZED (
  SELECT c.*, quote_ident(n.nspname)||'.'||quote_ident(c.relname) AS fq
  FROM pg_catalog.pg_class c JOIN ns n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r','p','v','m','f','S','c','i','I') AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid)),
typ AS MATERIALIZED (
  SELECT t.*, quote_ident(n.nspname)||'.'||quote_ident(t.typname) AS fq
  FROM pg_catalog.pg_type t JOIN ns n ON n.oid = t.typnamespace
  WHERE t.typtype IN ('e','d','r','b')
    AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_type'::regclass AND e.objid = t.oid)),
prc AS MATERIALIZED (
  SELECT p.*, quote_ident(n.nspname)||'.'||quote_ident(p.proname)||'('||pg_get_function_identity_arguments(p.oid)||')' AS fq
  FROM pg_catalog.pg_proc p JOIN ns n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = p.oid)),
inh AS MATERIALIZED (
  SELECT inhrelid, json_agg(inhparent::regclass::text ORDER BY inhseqno) AS parents, bool_or(inhdetachpending) AS detach_pending
  FROM pg_catalog.pg_inherits GROUP BY inhrelid),
snap(kind, ident, def) AS (

SELECT 'keys', 'schema', '["owner","acl"]'
UNION ALL
SELECT 'schema', quote_ident(n.nspname), json_build_array(n.nspowner::regrole,
   coalesce(n.nspacl, acldefault('n', n.nspowner))::text[])::text
  FROM ns n WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_namespace'::regclass AND e.objid = n.oid)

UNION ALL
SELECT 'keys', 'relation', '["relkind","persistence","owner","rls","force_rls","replica_identity","options","toast_options","tablespace","access_method","of_type","partition_key","partition_bound","inherits","detach_pending","definition","populated","foreign","columns","type_acl","acl"]'
UNION ALL
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview' WHEN 'f' THEN 'foreign table' ELSE 'composite type' END, c.fq,
  json_build_array(c.relkind, c.relpersistence, c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions, toast.reloptions,
   space.spcname, am.amname, CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype END, CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
   pg_get_expr(c.relpartbound, c.oid), inh.parents, CASE WHEN c.relispartition THEN inh.detach_pending END,
   CASE WHEN c.relkind IN ('v','m') THEN pg_get_viewdef(c.oid) END, CASE WHEN c.relkind = 'm' THEN c.relispopulated END,
   CASE WHEN c.relkind = 'f' THEN (SELECT json_build_object('server', s.srvname, 'options', f.ftoptions) FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid) END,
   ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
   CASE WHEN c.relkind = 'c' THEN (SELECT coalesce(t.typacl, acldefault('T', t.typowner))::text[] FROM pg_catalog.pg_type t WHERE t.oid = c.reltype) END,
   coalesce(c.relacl, acldefault('r', c.relowner))::text[])::text
  FROM rel c LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid AND toast.reloptions IS NOT NULL
  LEFT JOIN pg_catalog.pg_tablespace space ON space.oid = c.reltablespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
  LEFT JOIN inh ON inh.inhrelid = c.oid WHERE c.relkind IN ('r','p','v','m','f','c')

UNION ALL
SELECT 'keys', 'column', '["type","not_null","default","generated","identity","collation","storage","compression","statistics","options","fdw_options","local","inherited","acl","not_null_constraint"]'
UNION ALL
SELECT 'column', c.fq||'.'||quote_ident(a.attname), json_build_array(format_type(a.atttypid, a.atttypmod), a.attnotnull,
   CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END, CASE WHEN a.attgenerated <> '' THEN a.attgenerated::text||' '||pg_get_expr(d.adbin, d.adrelid) END, nullif(a.attidentity::text, ''),
   CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation END, CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,
   nullif(a.attcompression::text, ''), nullif(a.attstattarget, -1), a.attoptions, a.attfdwoptions, a.attislocal, nullif(a.attinhcount, 0), a.attacl::text[]
   -- Since 18 a constraint of its own. Names that the system gave are no property.
   , (SELECT nullif(jsonb_strip_nulls(jsonb_build_object('name', CASE WHEN k.conname !~ '_not_null[0-9]*$' THEN k.conname END, 'valid', nullif(k.convalidated, true), 'no_inherit', nullif(k.connoinherit, false))), '{}') FROM pg_catalog.pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum) -- since 18
   )::text
  FROM rel c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE c.relkind IN ('r','p','v','m','f','c')

UNION ALL
-- of tables and of domains; the triggers of a foreign key can be switched off one by one
SELECT 'keys', 'constraint', '["def","valid","local","inherited","no_inherit","triggers","enforced"]'
UNION ALL
SELECT 'constraint', coalesce(c.fq, t.fq)||'.'||quote_ident(k.conname), json_build_array(pg_get_constraintdef(k.oid), k.convalidated, k.conislocal, nullif(k.coninhcount, 0), nullif(k.connoinherit, false), g.enabled
   , k.conenforced -- since 18
   )::text
  FROM pg_catalog.pg_constraint k LEFT JOIN rel c ON c.oid = k.conrelid AND k.conrelid <> 0 LEFT JOIN typ t ON t.oid = k.contypid AND k.contypid <> 0
  LEFT JOIN (SELECT tgconstraint, json_agg(DISTINCT tgrelid::regclass::text||' '||tgenabled::text) AS enabled FROM pg_catalog.pg_trigger WHERE tgisinternal AND tgenabled <> 'O' AND tgconstraint <> 0 GROUP BY tgconstraint) g ON g.tgconstraint = k.oid
  WHERE (c.oid IS NOT NULL OR t.oid IS NOT NULL) AND k.contype NOT IN ('t', 'n')

UNION ALL
SELECT 'keys', 'index', '["def","valid","ready","primary","immediate","clustered","replica_identity","tablespace","parent","statistics"]'
UNION ALL
SELECT 'index', c.fq, json_build_array(pg_get_indexdef(c.oid), i.indisvalid, i.indisready, i.indisprimary, i.indimmediate, nullif(i.indisclustered, false), nullif(i.indisreplident, false),
   space.spcname, inh.parents->>0, CASE WHEN i.indexprs IS NOT NULL THEN (SELECT json_object_agg(a.attnum, a.attstattarget) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) END)::text
  FROM rel c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_catalog.pg_tablespace space ON space.oid = c.reltablespace LEFT JOIN inh ON inh.inhrelid = c.oid

UNION ALL
SELECT 'keys', 'sequence', '["type","start","increment","min","max","cache","cycle","persistence","owner","owned_by","acl"]'
UNION ALL
SELECT 'sequence', c.fq, json_build_array(s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, c.relpersistence, c.relowner::regrole,
   (SELECT d.refobjid::regclass::text||'.'||quote_ident(a.attname)||'/'||d.deptype::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a','i') LIMIT 1),
   coalesce(c.relacl, acldefault('s', c.relowner))::text[])::text
  FROM rel c JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid

UNION ALL
SELECT 'keys', 'trigger', '["def","enabled"]'
UNION ALL
SELECT 'trigger', c.fq||'.'||quote_ident(t.tgname), json_build_array(pg_get_triggerdef(t.oid), t.tgenabled)::text FROM rel c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'keys', 'rule', '["def","enabled"]'
UNION ALL
SELECT 'rule', c.fq||'.'||quote_ident(r.rulename), json_build_array(pg_get_ruledef(r.oid), r.ev_enabled)::text FROM rel c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'keys', 'policy', '["cmd","permissive","roles","using","check"]'
UNION ALL
SELECT 'policy', c.fq||'.'||quote_ident(p.polname), json_build_array(p.polcmd, p.polpermissive, p.polroles::regrole[]::text[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text FROM rel c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid

UNION ALL
SELECT 'keys', 'function', '["owner","def","acl"]'
UNION ALL
SELECT CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END, p.fq, json_build_array(p.proowner::regrole,
   CASE WHEN p.prokind <> 'a' THEN to_json(pg_get_functiondef(p.oid)) ELSE (SELECT json_build_object('result', pg_get_function_result(p.oid), 'args', pg_get_function_arguments(p.oid), 'kind', g.aggkind, 'sfunc', g.aggtransfn::regprocedure, 'ffunc', g.aggfinalfn::oid::regprocedure, 'comb', g.aggcombinefn::oid::regprocedure, 'ser', g.aggserialfn::oid::regprocedure, 'deser', g.aggdeserialfn::oid::regprocedure, 'mf', g.aggmtransfn::oid::regprocedure, 'mi', g.aggminvtransfn::oid::regprocedure, 'mff', g.aggmfinalfn::oid::regprocedure, 'sort', g.aggsortop::regoperator, 'stype', g.aggtranstype::regtype, 'init', g.agginitval, 'mstype', g.aggmtranstype::regtype, 'minit', g.aggminitval, 'parallel', p.proparallel) FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid) END,
   coalesce(p.proacl, acldefault('f', p.proowner))::text[])::text FROM prc p

UNION ALL
SELECT 'keys', 'type', '["owner","labels","domain","range","base","acl"]'
UNION ALL
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'base type' END, t.fq, json_build_array(t.typowner::regrole,
   CASE WHEN t.typtype = 'e' THEN (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END,
   CASE WHEN t.typtype = 'd' THEN json_build_object('base', format_type(t.typbasetype, t.typtypmod), 'not_null', t.typnotnull, 'default', t.typdefault, 'collation', nullif(t.typcollation, 0)::regcollation) END,
   (SELECT json_build_object('subtype', r.rngsubtype::regtype, 'collation', nullif(r.rngcollation, 0)::regcollation, 'opclass', (SELECT o.opcname FROM pg_catalog.pg_opclass o WHERE o.oid = r.rngsubopc), 'canonical', r.rngcanonical::oid::regprocedure, 'diff', r.rngsubdiff::oid::regprocedure, 'multirange', (to_jsonb(r)->>'rngmultitypid')::oid::regtype) FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
   CASE WHEN t.typtype = 'b' THEN json_build_object('in', t.typinput::oid::regprocedure, 'out', t.typoutput::oid::regprocedure, 'len', t.typlen, 'align', t.typalign, 'storage', t.typstorage, 'category', t.typcategory) END,
   coalesce(t.typacl, acldefault('T', t.typowner))::text[])::text
  FROM typ t WHERE t.typtype <> 'b' OR t.typelem = 0 OR t.typsubscript::oid <> 'pg_catalog.array_subscript_handler'::regproc::oid

UNION ALL
SELECT 'keys', 'default privileges', '["acl"]'
UNION ALL
SELECT 'default privileges', d.defaclrole::regrole::text||'/'||coalesce((SELECT quote_ident(nspname) FROM pg_catalog.pg_namespace n WHERE n.oid = d.defaclnamespace), '*')||'/'||d.defaclobjtype::text, json_build_array(d.defaclacl::text[])::text FROM pg_catalog.pg_default_acl d
UNION ALL
-- what belongs to it, by name: ALTER EXTENSION can add and drop members
SELECT 'keys', 'extension', '["version","schema","owner","members"]'
UNION ALL
SELECT 'extension', quote_ident(x.extname), json_build_array(x.extversion, x.extnamespace::regnamespace, x.extowner::regrole,
   (SELECT json_agg(m.name ORDER BY m.name) FROM (
     SELECT 'function '||proname AS name FROM ext e JOIN pg_catalog.pg_proc o ON o.oid = e.objid WHERE e.extension = x.oid AND e.classid = 'pg_catalog.pg_proc'::regclass
     UNION ALL SELECT 'relation '||relname FROM ext e JOIN pg_catalog.pg_class o ON o.oid = e.objid WHERE e.extension = x.oid AND e.classid = 'pg_catalog.pg_class'::regclass
     UNION ALL SELECT 'type '||typname FROM ext e JOIN pg_catalog.pg_type o ON o.oid = e.objid WHERE e.extension = x.oid AND e.classid = 'pg_catalog.pg_type'::regclass
     UNION ALL SELECT 'schema '||nspname FROM ext e JOIN pg_catalog.pg_namespace o ON o.oid = e.objid WHERE e.extension = x.oid AND e.classid = 'pg_catalog.pg_namespace'::regclass) m))::text FROM pg_catalog.pg_extension x
UNION ALL
SELECT 'keys', 'event trigger', '["event","tags","function","enabled","owner"]'
UNION ALL
SELECT 'event trigger', quote_ident(t.evtname), json_build_array(t.evtevent, t.evttags, t.evtfoid::regprocedure, t.evtenabled, t.evtowner::regrole)::text FROM pg_catalog.pg_event_trigger t
UNION ALL
SELECT 'publication', quote_ident(p.pubname), ((to_jsonb(p) - 'oid' - 'pubname' - 'pubowner') || jsonb_build_object('owner', p.pubowner::regrole,
   'schemas', (SELECT jsonb_agg(r.pnnspid::regnamespace ORDER BY r.pnnspid::regnamespace::text) FROM pg_catalog.pg_publication_namespace r WHERE r.pnpubid = p.oid), -- since 15
   'tables', (SELECT jsonb_agg(r.prrelid::regclass::text||coalesce(' ('||(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]))||')', '') -- since 15
       ||coalesce(' WHERE '||pg_get_expr(r.prqual, r.prrelid), '') -- since 15
       ORDER BY r.prrelid::regclass::text) FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid)))::text FROM pg_catalog.pg_publication p
UNION ALL
SELECT 'keys', 'subscription', '["owner","enabled","publications"]'
UNION ALL
SELECT 'subscription', quote_ident(s.subname), json_build_array(s.subowner::regrole, s.subenabled, s.subpublications)::text FROM pg_catalog.pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
UNION ALL
SELECT 'keys', 'statistics', '["def","target","owner"]'
UNION ALL
SELECT 'statistics', quote_ident(n.nspname)||'.'||quote_ident(s.stxname), json_build_array(pg_get_statisticsobjdef(s.oid), nullif((to_jsonb(s)->>'stxstattarget')::int, -1), s.stxowner::regrole)::text FROM pg_catalog.pg_statistic_ext s JOIN ns n ON n.oid = s.stxnamespace
UNION ALL
SELECT 'collation', quote_ident(n.nspname)||'.'||quote_ident(c.collname), ((to_jsonb(c) - 'oid' - 'collname' - 'collnamespace' - 'collversion' - 'collowner') || jsonb_build_object('owner', c.collowner::regrole))::text FROM pg_catalog.pg_collation c JOIN ns n ON n.oid = c.collnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_collation'::regclass AND e.objid = c.oid)
UNION ALL
SELECT 'keys', 'conversion', '["from","to","function","default","owner"]'
UNION ALL
SELECT 'conversion', quote_ident(n.nspname)||'.'||quote_ident(c.conname), json_build_array(pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc::oid::regprocedure, c.condefault, c.conowner::regrole)::text FROM pg_catalog.pg_conversion c JOIN ns n ON n.oid = c.connamespace
UNION ALL
SELECT 'keys', 'operator', '["owner","function","result","commutator","negator","restrict","join","merges","hashes"]'
UNION ALL
SELECT 'operator', o.oid::regoperator::text, json_build_array(o.oprowner::regrole, o.oprcode::oid::regprocedure, o.oprresult::regtype, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest::oid::regprocedure, o.oprjoin::oid::regprocedure, o.oprcanmerge, o.oprcanhash)::text FROM pg_catalog.pg_operator o JOIN ns n ON n.oid = o.oprnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_operator'::regclass AND e.objid = o.oid)
UNION ALL
SELECT 'keys', 'operator class', '["owner","type","default","key","family"]'
UNION ALL
SELECT 'operator class', quote_ident(n.nspname)||'.'||quote_ident(o.opcname)||' USING '||a.amname, json_build_array(o.opcowner::regrole, o.opcintype::regtype, o.opcdefault, o.opckeytype::regtype, (SELECT opfname FROM pg_catalog.pg_opfamily f WHERE f.oid = o.opcfamily))::text FROM pg_catalog.pg_opclass o JOIN ns n ON n.oid = o.opcnamespace JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_opclass'::regclass AND e.objid = o.oid)
UNION ALL
SELECT 'keys', 'operator family', '["owner","operators","functions"]'
UNION ALL
SELECT 'operator family', quote_ident(n.nspname)||'.'||quote_ident(f.opfname)||' USING '||a.amname, json_build_array(f.opfowner::regrole, (SELECT json_agg(amopstrategy||' '||amopopr::regoperator::text||' '||amoppurpose::text ORDER BY amopstrategy, amopopr::regoperator::text) FROM pg_catalog.pg_amop WHERE amopfamily = f.oid), (SELECT json_agg(amprocnum||' '||amproc::oid::regprocedure::text ORDER BY amprocnum, amproc::oid::regprocedure::text) FROM pg_catalog.pg_amproc WHERE amprocfamily = f.oid))::text FROM pg_catalog.pg_opfamily f JOIN ns n ON n.oid = f.opfnamespace JOIN pg_catalog.pg_am a ON a.oid = f.opfmethod WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_opfamily'::regclass AND e.objid = f.oid)
UNION ALL
SELECT 'keys', 'cast', '["function","context","method"]'
UNION ALL
SELECT 'cast', format_type(c.castsource, NULL)||' AS '||format_type(c.casttarget, NULL), json_build_array(c.castfunc::regprocedure, c.castcontext, c.castmethod)::text FROM pg_catalog.pg_cast c WHERE c.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_cast'::regclass AND e.objid = c.oid)
UNION ALL
SELECT 'keys', 'access method', '["type","handler"]'
UNION ALL
SELECT 'access method', quote_ident(a.amname), json_build_array(a.amtype, a.amhandler::oid::regprocedure)::text FROM pg_catalog.pg_am a WHERE a.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_am'::regclass AND e.objid = a.oid)
UNION ALL
SELECT 'keys', 'transform', '["from","to"]'
UNION ALL
SELECT 'transform', format_type(t.trftype, NULL)||' LANGUAGE '||(SELECT quote_ident(lanname) FROM pg_catalog.pg_language l WHERE l.oid = t.trflang), json_build_array(t.trffromsql::oid::regprocedure, t.trftosql::oid::regprocedure)::text FROM pg_catalog.pg_transform t WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_transform'::regclass AND e.objid = t.oid)
UNION ALL
SELECT 'keys', 'fdw', '["owner","handler","validator","options","acl"]'
UNION ALL
SELECT 'fdw', quote_ident(f.fdwname), json_build_array(f.fdwowner::regrole, f.fdwhandler::regprocedure, f.fdwvalidator::regprocedure, f.fdwoptions, coalesce(f.fdwacl, acldefault('F', f.fdwowner))::text[])::text FROM pg_catalog.pg_foreign_data_wrapper f WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass AND e.objid = f.oid)
UNION ALL
SELECT 'keys', 'server', '["owner","type","version","options","fdw","acl"]'
UNION ALL
SELECT 'server', quote_ident(s.srvname), json_build_array(s.srvowner::regrole, s.srvtype, s.srvversion, s.srvoptions, (SELECT fdwname FROM pg_catalog.pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw), coalesce(s.srvacl, acldefault('S', s.srvowner))::text[])::text FROM pg_catalog.pg_foreign_server s
UNION ALL
SELECT 'keys', 'user mapping', '["options"]'
UNION ALL
SELECT 'user mapping', quote_ident(u.usename)||' SERVER '||quote_ident(u.srvname), json_build_array(u.umoptions)::text FROM pg_catalog.pg_user_mappings u
UNION ALL
SELECT 'keys', 'language', '["owner","trusted","acl"]'
UNION ALL
SELECT 'language', quote_ident(l.lanname), json_build_array(l.lanowner::regrole, l.lanpltrusted, coalesce(l.lanacl, acldefault('l', l.lanowner))::text[])::text FROM pg_catalog.pg_language l WHERE l.lanispl
UNION ALL
SELECT 'keys', 'text search configuration', '["owner","parser","map"]'
UNION ALL
SELECT 'text search configuration', quote_ident(n.nspname)||'.'||quote_ident(c.cfgname), json_build_array(c.cfgowner::regrole, (SELECT prsname FROM pg_catalog.pg_ts_parser p WHERE p.oid = c.cfgparser), (SELECT json_agg(m.maptokentype||':'||m.mapseqno||':'||m.mapdict::regdictionary::text ORDER BY m.maptokentype, m.mapseqno) FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = c.oid))::text FROM pg_catalog.pg_ts_config c JOIN ns n ON n.oid = c.cfgnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_ts_config'::regclass AND e.objid = c.oid)
UNION ALL
SELECT 'keys', 'text search dictionary', '["owner","options","template"]'
UNION ALL
SELECT 'text search dictionary', quote_ident(n.nspname)||'.'||quote_ident(d.dictname), json_build_array(d.dictowner::regrole, d.dictinitoption, (SELECT tmplname FROM pg_catalog.pg_ts_template t WHERE t.oid = d.dicttemplate))::text FROM pg_catalog.pg_ts_dict d JOIN ns n ON n.oid = d.dictnamespace WHERE NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = 'pg_catalog.pg_ts_dict'::regclass AND e.objid = d.oid)
UNION ALL
-- comments and security labels on anything
SELECT 'comment', i.type||' '||i.identity, to_json(d.description)::text FROM pg_catalog.pg_description d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i WHERE d.objoid >= 16384 AND i.schema IS DISTINCT FROM 'pg_toast' AND NOT EXISTS (SELECT 1 FROM ext e WHERE e.classid = d.classoid AND e.objid = d.objoid)
UNION ALL
SELECT 'comment', 'role '||d.objoid::regrole::text, to_json(d.description)::text FROM pg_catalog.pg_shdescription d WHERE d.classoid = 'pg_catalog.pg_authid'::regclass
UNION ALL
SELECT 'comment', 'database *', to_json(d.description)::text FROM pg_catalog.pg_shdescription d WHERE d.classoid = 'pg_catalog.pg_database'::regclass AND d.objoid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND d.description <> 'default administrative connection database'
UNION ALL
SELECT 'security label', s.provider||' '||i.type||' '||i.identity, to_json(s.label)::text FROM pg_catalog.pg_seclabel s CROSS JOIN LATERAL pg_identify_object(s.classoid, s.objoid, s.objsubid) i
UNION ALL
-- of the whole server, or of this database of it
SELECT 'keys', 'database', '["owner","connection_limit","acl"]'
UNION ALL
SELECT 'database', '*', json_build_array(d.datdba::regrole, nullif(d.datconnlimit, -1), coalesce(d.datacl, acldefault('d', d.datdba))::text[])::text FROM pg_catalog.pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 'setting', coalesce(nullif(s.setrole, 0)::regrole::text, '*')||CASE WHEN s.setdatabase = 0 THEN '' ELSE '@database' END, to_json(s.setconfig)::text FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
UNION ALL
SELECT 'role', quote_ident(r.rolname), (to_jsonb(r) - 'oid' - 'rolname' - 'rolpassword' - 'rolconfig')::text FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT 'keys', 'membership', '["admin","inherit","set"]'
UNION ALL
SELECT 'membership', m.roleid::regrole::text||' of '||m.member::regrole::text, json_build_array(bool_or(m.admin_option)
   , bool_or(m.inherit_option), bool_or(m.set_option) -- since 16
   )::text FROM pg_catalog.pg_auth_members m WHERE m.member::regrole::text !~ '^pg_' GROUP BY m.roleid, m.member
UNION ALL SELECT 'keys', 'parameter', '["acl"]' -- since 15
UNION ALL SELECT 'parameter', p.parname, json_build_array(p.paracl::text[])::text FROM pg_catalog.pg_parameter_acl p -- since 15
)
SELECT kind, ident, def FROM snap
