import { expect, test } from "vitest";
import { type ErrorJson, service, Tenant, verifyLedgerAtEnd } from "../../support/tenant.ts";

verifyLedgerAtEnd();
const tenant = await Tenant.create({ quota: 1_000_000 });

const hostile = [
  "'; drop table token_transfers; --",
  "$$; select 1; $$",
  '"}],"balance":1e15,"x":[{"a":"',
  '{"$ne": null}',
  "ada,role.eq.owner)",
  "*",
  "%",
  "_",
  "\\x00",
  "{{7*7}} ${7*7} <script>alert(1)</script>",
  "null",
  "line\r\nset-cookie: a=b",
];

test.each(hostile)("%j as user id, tag and metadata", async (text) => {
  await tenant.tagId(text);
  const metadata = { [text]: text, nested: [{ [text]: [text] }] };

  const { status, body } = await tenant.consume(text, 3, { tag: text, metadata });
  const transfers = await tenant.transfers(text);

  expect(status).toBe(200);
  expect(body).toMatchObject({ user_id: text, tokens_consumed: 3 });
  expect(transfers.body.data).toMatchObject([{ tag: text, metadata }]);
  const { data } = await service.from("tracked_users").select("external_id")
    .eq("project_id", tenant.id).throwOnError();
  expect(data).toContainEqual({ external_id: text });
});

test.each(hostile.filter((text) => /^[\x20-\x7e]+$/.test(text)))(
  "%j as request id",
  async (text) => {
    const { status, body } = await tenant.consume("ada", 3, { request_id: text });
    const refund = await tenant.refund("ada", { original_request_id: text });

    expect(status).toBe(200);
    expect(body.request_id).toBe(text);
    expect(refund.body).toMatchObject({
      refunded_transfer_number: body.transfer_number,
      tokens_refunded: 3,
    });
  },
);

test.each(["project_id", "p_project_id", "balance", "price", "tokens_left", "created_at", "p_at"])(
  "an injected field %s is refused by name",
  async (field) => {
    const consumption = await tenant.consume("ada", 1, { [field]: tenant.id });
    const grant = await tenant.grant("ada", 1, { [field]: tenant.id });

    for (const { status, body } of [consumption, grant]) {
      expect(status).toBe(400);
      expect((body as unknown as ErrorJson).error).toMatchObject({
        code: "invalid_request",
        message: expect.stringContaining(`"${field}"`),
      });
    }
  },
);
