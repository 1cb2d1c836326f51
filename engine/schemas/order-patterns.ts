/** Forms of the query of the list of orders. */
export const ORDERS_PAGE_MAX = 100;
export const ORDERS_PAGE_DEFAULT = 20;
export const PAGE_PATTERN = '^(?:[1-9][0-9]?|100)$';
export const CURSOR_PATTERN = '^[A-Za-z0-9_-]{1,200}$';
