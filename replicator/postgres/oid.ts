/** An object identifier: unsigned 32 bits, so a JavaScript number holds it exactly. */
export type Oid = number;

/** The OIDs of built-in types that decisions are made on (src/include/catalog/pg_type.dat). */
export const TYPE_OID = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  float4: 700,
  float8: 701,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
} as const;

/** Whatever initdb has not made starts here; its OIDs differ from database to database (access/transam.h). */
export const FIRST_NORMAL_OID = 16384;
