/** What a notice says: from facts to a mail with its invoice, or to a text. Everything here is the same on every try. */

import { createFontShelf, loadFonts } from './invoice/fonts.ts';
import { type InvoiceSettings, makeInvoice } from './invoice/invoice.ts';
import { hasInvoice, isTexted, NOTICES } from './notice-table.ts';
import { bareFacts, sampleFacts } from './samples.ts';
import { loadTemplates, type RenderedMail } from './templates.ts';
import { type NoticeFacts, noticeView, type Shop } from './view.ts';
import { createWords } from './words.ts';

export type ComposeSettings = {
  shop: Shop;
  locale: string;
  time_zone: string;
  seller: readonly string[];
  template_dir?: string;
  invoice_font?: string;
};

export type Attachment = { filename: string; content_type: string; content: Buffer };

export type Composed = RenderedMail & {
  attachments: Attachment[];
  /** A letter of the invoice is shown as a box. */
  letters_missing: boolean;
};

export type Compose = {
  mail(facts: NoticeFacts): Promise<Composed>;
  text(facts: NoticeFacts): string;
};

/** Reads templates and fonts, and tries every template once. Throws an Error with words for whoever wrote one. */
export function createCompose(settings: ComposeSettings): Compose {
  const { shop, seller } = settings;
  const words = createWords(settings);
  const templates = loadTemplates(settings.template_dir);
  const invoice: InvoiceSettings = {
    shop_name: shop.name,
    seller,
    words,
    fonts: createFontShelf(loadFonts(settings.invoice_font)),
  };
  const viewOf = (facts: NoticeFacts) => noticeView(facts, shop, words);
  for (const notice of NOTICES) {
    for (const facts of [sampleFacts(notice), bareFacts(notice)]) {
      templates.mail(viewOf(facts));
      if (isTexted(notice)) templates.text(viewOf(facts));
    }
  }
  return {
    async mail(facts) {
      const rendered = templates.mail(viewOf(facts));
      if (!hasInvoice(facts.notice) || !facts.order.invoice) {
        return { ...rendered, attachments: [], letters_missing: false };
      }
      const { pdf, filename, letters_missing } = await makeInvoice(facts.order, invoice);
      const attachment = { filename, content_type: 'application/pdf', content: pdf };
      return { ...rendered, attachments: [attachment], letters_missing };
    },
    text: (facts) => templates.text(viewOf(facts)),
  };
}
